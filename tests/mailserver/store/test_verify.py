# SPDX-License-Identifier: AGPL-3.0-or-later
"""verify-data finds each kind of damage, names it, and repairs what can be derived."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mailserver.accounts.schema import counter
from mailserver.store import SEEN, schema
from mailserver.store.verify import Findings, verify_data
from tests.conftest import Province
from tests.mailserver.store.letters import expunge, fill, inbox

MAILBOX, MESSAGE, CHANGE, BLOB, SUMMARY, RANGE, COUNTER = (
    schema.mailbox,
    schema.message,
    schema.change,
    schema.blob,
    schema.summary,
    schema.flag_range,
    counter,
)


def ranged(how: str, first: int, last: int) -> sa.Executable:
    """A range of flags in the mailbox that is damaged, as new as the mailbox."""
    names = ["agency", "mailbox", "modseq", "first_uid", "last_uid", "how", "mask"]
    columns = [MAILBOX.c.agency, MAILBOX.c.mailbox, MAILBOX.c.highestmodseq]
    told = [sa.literal(first), sa.literal(last), sa.literal(how), sa.literal(SEEN)]
    return sa.insert(RANGE).from_select(names, sa.select(*columns, *told).where(MAILBOX.c.exists == 4))


DAMAGE = [
    ("exists", "counter", sa.update(MAILBOX).where(MAILBOX.c.exists == 4).values({"exists": 5}), True),
    ("unseen", "counter", sa.update(MAILBOX).where(MAILBOX.c.exists == 4).values(unseen=0), True),
    ("size", "counter", sa.update(MAILBOX).where(MAILBOX.c.exists == 4).values(size=1), True),
    ("uidnext", "uidnext", sa.update(MAILBOX).where(MAILBOX.c.exists == 4).values(uidnext=4), True),
    ("modseq", "modseq", sa.update(MAILBOX).where(MAILBOX.c.exists == 4).values(highestmodseq=2), True),
    ("log entry lost", "change-log", sa.delete(CHANGE).where(CHANGE.c.first_uid == 3), True),
    ("vanished lost", "vanished", sa.delete(CHANGE).where(CHANGE.c.kind == "x"), True),
    ("odd log entry", "change-log", sa.update(CHANGE).where(CHANGE.c.kind == "x").values(last_uid=0), False),
    ("message modseq", "change-log", sa.update(MESSAGE).where(MESSAGE.c.uid == 3).values(modseq=1), True),
    ("refs", "references", sa.update(BLOB).where(BLOB.c.blob == 2).values(refs=7), True),
    ("refs too few", "references", sa.update(BLOB).where(BLOB.c.blob == 2).values(refs=0), True),
    ("blob lost", "blob-missing", sa.delete(BLOB).where(BLOB.c.blob == 2), False),
    ("summary lost", "summary-missing", sa.delete(SUMMARY).where(SUMMARY.c.blob == 2), True),
    (
        "summary altered",
        "summary-unreadable",
        sa.update(SUMMARY).where(SUMMARY.c.blob == 2).values(sealed=b"x" * 60),
        True,
    ),
    ("summary of nothing", "summary-orphan", sa.insert(SUMMARY).values(blob=99, sealed=b"x"), True),
    (
        "beyond the end",
        "blob-unreadable",
        sa.update(BLOB).where(BLOB.c.blob == 2).values(offset=1 << 40),
        False,
    ),
    ("no segment", "blob-unreadable", sa.update(BLOB).where(BLOB.c.blob == 2).values(segment=77), False),
    ("keyword", "keyword", sa.update(MESSAGE).where(MESSAGE.c.uid == 3).values(flags=1 << 20), False),
    ("message size", "size", sa.update(MESSAGE).where(MESSAGE.c.uid == 3).values(size=1), True),
    ("next blob", "next-number", sa.update(COUNTER).where(COUNTER.c.kind == "blob").values(next=2), True),
    ("next mailbox lost", "next-number", sa.delete(COUNTER).where(COUNTER.c.kind == "mailbox"), True),
    ("range of nothing", "flag-range", ranged("add", 5, 4), True),
    ("range without an act", "flag-range", ranged("?", 2, 4), True),
    (
        "range of no mailbox",
        "flag-range",
        sa.insert(RANGE).values(
            agency=1, mailbox=999, modseq=1, first_uid=1, last_uid=9, how="add", mask=SEEN
        ),
        True,
    ),
    ("mailbox gone", "mailbox-missing", sa.delete(MAILBOX).where(MAILBOX.c.exists == 4), False),
]


def check(province: Province, *, repair: bool = False) -> Findings:
    return verify_data(province.database, province.segments, province.seal, repair=repair)


@pytest.mark.parametrize(("kind", "damage", "mends"), [one[1:] for one in DAMAGE], ids=[d[0] for d in DAMAGE])
def test_damage_is_found_named_and_repaired_when_it_can_be(
    small_province: Province, kind: str, damage: sa.Executable, mends: bool
) -> None:
    ref = inbox(small_province)
    fill(small_province, ref, 5)
    expunge(small_province, ref, [1])
    assert check(small_province).problems == []
    small_province.database.write(lambda conn: conn.execute(damage))
    found = check(small_province)
    assert kind in {one.kind for one in found.problems}
    mended = check(small_province, repair=True)
    again = check(small_province)
    if mends:
        assert kind in {one.kind for one in mended.repaired}
        assert again.problems == []
        fill(small_province, ref, 1)
        mailbox = small_province.store.mailbox(ref)
        assert mailbox is not None
        assert mailbox.size == sum(row.size for row in small_province.store.uid_map(ref))
    else:
        assert kind in {one.kind for one in again.problems}


def test_repairing_works_on_both_engines(province: Province) -> None:
    ref = inbox(province)
    fill(province, ref, 5)
    expunge(province, ref, [1])
    for _, _, damage, mends in DAMAGE:
        if mends:
            province.database.write(lambda conn, damage=damage: conn.execute(damage))  # type: ignore[misc]
    assert check(province, repair=True).count == 0
    check(province, repair=True)
    assert check(province).problems == []
