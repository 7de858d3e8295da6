# SPDX-License-Identifier: AGPL-3.0-or-later
"""Flags of thousands of neighbours change by a range; nobody who reads sees a difference, on both engines."""

from __future__ import annotations

import asyncio
import random

import pytest
import sqlalchemy as sa

from mailserver.store import (
    DELETED,
    FLAGGED,
    SEEN,
    Ref,
    Store,
    flag_ranges,
    flagging,
    kept_columns,
    schema,
    snapshots,
)
from mailserver.store.flagging import Foreseen
from mailserver.store.kept_columns import KeptColumns
from mailserver.store.model import flagged
from mailserver.store.upkeep import Upkeep
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.mailserver.store.letters import fill, inbox


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen letters stand for thousands."""
    monkeypatch.setattr(flag_ranges, "FEWEST", 8)
    monkeypatch.setattr(flag_ranges, "SLICE", 7)
    monkeypatch.setattr(kept_columns, "SMALL", 1)
    monkeypatch.setattr(snapshots, "SMALL", 1)
    monkeypatch.setattr(snapshots, "_LONG", 3)


def ranges(province: Province, ref: Ref) -> int:
    with province.database.reading() as conn:
        return len(flag_ranges.of(conn, ref))


def seen(store: Store, ref: Ref) -> dict[int, int]:
    """Flags by UID; every way of reading them says the same."""
    rows = store.uid_map(ref)
    assert [(row.uid, row.flags, row.modseq) for row in rows] == store.marks(ref)
    assert store.newest(ref, 1000) == rows[::-1]
    opened = store.opened(ref)
    assert opened is not None
    assert list(zip(*opened[1], strict=True)) == store.marks(ref)
    with store.database.reading() as conn:  # as a process that sees it for the first time
        assert KeptColumns().of(conn, opened[0]) == opened[1]
    box = store.mailbox(ref)
    assert box is not None
    assert box.unseen == sum(1 for row in rows if not row.flags & SEEN)
    assert store.count_flagged(ref, FLAGGED) == sum(1 for row in rows if row.flags & FLAGGED)
    return {row.uid: row.flags for row in rows}


@pytest.mark.parametrize("seed", range(4))
def test_any_history_reads_like_one_that_changed_rows(province: Province, seed: int) -> None:
    ref, other = inbox(province), inbox(province, "cv2")
    fill(province, ref, 30)
    store, chance = province.store, random.Random(seed)
    believed = dict.fromkeys(range(1, 31), 0)
    used = 0
    upkeep = Upkeep(store, 30, 0)

    async def act() -> None:
        nonlocal used
        uids = sorted(believed)
        low = chance.randrange(len(uids))
        some = uids[low : low + chance.choice([1, 3, 12, 30])]
        kind = chance.choice(["flag"] * 8 + ["copy", "move", "expunge", "settle", "append", "keep"])
        before = store.mailbox(ref)
        assert before is not None
        if kind == "flag":
            how, mask = (
                chance.choice(["add", "remove", "replace"]),
                chance.choice([SEEN, FLAGGED, SEEN | DELETED]),
            )
            changed, _ = await store.set_flags(ref, some, how, mask)
            assert changed == [uid for uid in some if flagged(believed[uid], how, mask) != believed[uid]]
            believed.update({uid: flagged(believed[uid], how, mask) for uid in some})
            told = {
                uid
                for one in store.changes(ref, before.highestmodseq)
                for uid in range(one.first_uid, one.last_uid + 1)
            }
            assert told == set(changed)
        elif kind == "copy":
            pairs = await store.copy(ref, some, other)
            copies = seen(store, other)
            assert {uid: copies[new] for uid, new in pairs} == {uid: believed[uid] for uid in some}
        elif kind == "move" and len(uids) > 20:
            pairs = await store.move(ref, some[:2], other)
            copies = seen(store, other)
            assert {uid: copies[new] for uid, new in pairs} == {uid: believed.pop(uid) for uid in some[:2]}
        elif kind == "expunge" and len(uids) > 20:
            gone = [uid for uid in some[:3] if believed[uid] & DELETED]
            assert await store.expunge(ref, some[:3]) == gone
            for uid in gone:
                del believed[uid]
        elif kind == "settle":
            province.database.write(lambda conn: flag_ranges.settle_next(conn, ref))
        elif kind == "append":
            believed[await store.append(ref, b"Subject: %d\r\n\r\n" % chance.getrandbits(60), SEEN, 1)] = SEEN
        elif kind == "keep":
            upkeep.keep_columns()
        used = max(used, ranges(province, ref))

    async def walk() -> None:
        for _ in range(50):
            await act()
            assert seen(store, ref) == believed

    asyncio.run(walk())
    assert used > 1
    assert verify_data(province.database, province.segments, province.seal).problems == []
    left = [uid for uid, flags in believed.items() if flags & DELETED]
    assert sorted(asyncio.run(store.expunge(ref))) == left
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_the_vault_keeps_the_flags_that_were_seen(province: Province) -> None:
    ref = inbox(province)
    fill(province, ref, 12)

    async def walk() -> None:
        await province.store.set_flags(ref, range(1, 13), "add", SEEN | DELETED)
        assert ranges(province, ref) == 1
        assert await province.store.expunge(ref, [3, 4]) == [3, 4]
        assert len(await province.store.expunge(ref)) == 10

    asyncio.run(walk())
    with province.database.reading() as conn:
        assert set(conn.execute(sa.select(schema.vault.c.flags)).scalars()) == {SEEN | DELETED}


def test_the_worker_brings_rows_up_to_date(province: Province) -> None:
    ref = inbox(province)
    fill(province, ref, 20)
    asyncio.run(province.store.set_flags(ref, range(1, 20), "add", FLAGGED))
    before = province.store.marks(ref)
    assert ranges(province, ref) == 1
    Upkeep(province.store, 30, 0).work_once()
    assert ranges(province, ref) == 0
    assert province.store.marks(ref) == before
    with province.database.reading() as conn:
        assert conn.execute(sa.select(schema.message.c.flags)).scalars().all().count(FLAGGED) == 19


def test_a_foreseen_change_that_does_not_fit_is_done_in_slices(
    province: Province, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flagging, "SLICE", 5)
    ref = inbox(province)
    fill(province, ref, 20)
    wrong = Foreseen(1, range(1, 21), 0)
    done = asyncio.run(province.store.flag(ref, range(1, 21), "add", FLAGGED, wrong))
    assert (done.foreseen, done.taken, list(done.changed)) == (False, 5, [1, 2, 3, 4, 5])


def test_a_mailbox_has_few_ranges(province: Province, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flag_ranges, "MOST_RANGES", 3)
    ref = inbox(province)
    fill(province, ref, 10)

    async def walk() -> None:
        for how in ("add", "remove") * 4:
            await province.store.set_flags(ref, range(1, 11), how, FLAGGED)
            assert set(seen(province.store, ref).values()) == {FLAGGED if how == "add" else 0}
            assert ranges(province, ref) <= 3

    asyncio.run(walk())


def _modseq(province: Province, ref: Ref) -> int | None:
    with province.database.reading() as conn:
        kept = snapshots.read(conn, ref)
        return kept and kept[0]


def test_large_mailboxes_are_kept_in_one_row(province: Province, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by the worker, followed by the log without a look at rows, written anew when the log has grown long."""
    ref, store = inbox(province), province.store
    fill(province, ref, 20)
    Upkeep(store, 30, 0).work_once()
    first = _modseq(province, ref)
    assert first is not None

    async def walk(*hows: str) -> None:
        for how in hows:
            await store.set_flags(ref, range(1, 18), how, FLAGGED)

    asyncio.run(walk("add", "remove", "replace"))
    opened = store.opened(ref)
    assert opened is not None
    with monkeypatch.context() as blind, province.database.reading() as conn:
        blind.setattr(kept_columns, "listing", None)
        assert KeptColumns().of(conn, opened[0]) == opened[1]
    Upkeep(store, 30, 0).work_once()
    assert _modseq(province, ref) == first
    asyncio.run(walk("remove", "add"))
    Upkeep(store, 30, 0).work_once()
    assert _modseq(province, ref) == opened[0].highestmodseq + 2
    assert verify_data(province.database, province.segments, province.seal).problems == []


@pytest.mark.parametrize("how", ["wrong", "damaged"])
def test_a_wrong_snapshot_is_found_and_thrown_away(province: Province, how: str) -> None:
    ref, store = inbox(province), province.store
    fill(province, ref, 20)
    before = seen(store, ref)
    opened = store.opened(ref)
    assert opened is not None
    box, columns = opened
    columns.flags[3] |= SEEN
    province.database.write(lambda conn: snapshots.write(conn, ref, box.highestmodseq, columns))
    if how == "damaged":
        province.database.write(lambda conn: conn.execute(sa.update(schema.snapshot).values(packed=b"x")))
        with province.database.reading() as conn:
            assert list(KeptColumns().of(conn, box).flags) == list(before.values())
    check = verify_data(province.database, province.segments, province.seal, repair=True)
    assert [one.kind for one in check.repaired] == ["snapshot"]
    assert _modseq(province, ref) is None
    assert seen(store, ref) == before


def test_repairing_keeps_ranges_that_wait_and_columns_that_are_kept(province: Province) -> None:
    """Log entries are lost while a range waits and a session has the columns in memory."""
    ref, change = inbox(province), schema.change
    fill(province, ref, 12)
    asyncio.run(province.store.set_flags(ref, list(range(1, 13)), "add", SEEN))
    assert ranges(province, ref) == 1
    seen(province.store, ref)
    province.database.write(
        lambda conn: conn.execute(
            sa.delete(change).where(change.c.kind == "n", change.c.first_uid.in_([3, 4, 9]))
        )
    )
    found = verify_data(province.database, province.segments, province.seal, repair=True)
    assert {one.kind for one in found.repaired} == {"change-log"}
    assert seen(province.store, ref) == dict.fromkeys(range(1, 13), SEEN)
    asyncio.run(province.store.set_flags(ref, [4], "remove", SEEN))
    assert seen(province.store, ref) == {**dict.fromkeys(range(1, 13), SEEN), 4: 0}
    assert verify_data(province.database, province.segments, province.seal).problems == []
