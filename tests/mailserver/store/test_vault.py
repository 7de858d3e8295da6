# SPDX-License-Identifier: AGPL-3.0-or-later
"""Expunged mail can be had back until the vault is purged; then its key is gone and its name is noted."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from mailserver.store import DELETED, FLAGGED, SEEN, schema, vault
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.mailserver.store.letters import expunge, fill, inbox


def whole(province: Province) -> None:
    assert verify_data(province.database, province.segments, province.seal).problems == []


def kept(province: Province) -> list[vault.Kept]:
    who = province.people[f"cv1@{province.home.domain}"].ref
    with province.database.reading() as conn:
        return vault.of_owner(conn, province.seal, who)


def restore(province: Province, wanted: list[vault.Kept]) -> None:
    who = province.people[f"cv1@{province.home.domain}"].ref
    province.database.write(lambda conn: vault.restore(conn, province.seal, who, wanted))


def test_an_expunged_message_comes_back_with_a_new_uid_and_its_flags(province: Province) -> None:
    ref = inbox(province)
    letters = fill(province, ref, 3)
    asyncio.run(province.store.set_flags(ref, [2], "add", SEEN | FLAGGED))
    expunge(province, ref, [2])
    (one,) = kept(province)
    assert (one.mailbox, one.uid, one.ref) == ("INBOX", 2, ref)
    restore(province, [one])
    row = province.store.uid_map(ref)[-1]
    assert (row.uid, row.flags) == (4, SEEN | FLAGGED)
    assert province.store.content(row.blob) == letters[1]
    assert kept(province) == []
    restore(province, [one])  # a second time there is nothing to restore
    assert len(province.store.uid_map(ref)) == 3
    whole(province)


def test_a_deleted_mailbox_comes_back_into_the_inbox(province: Province) -> None:
    who = province.people[f"cv1@{province.home.domain}"].ref
    box = asyncio.run(province.store.create(who, "Dự án"))
    letters = fill(province, box, 5)
    asyncio.run(province.store.delete(box))
    assert province.store.mailbox(box) is None
    assert province.store.find(who, "Dự án") is None
    assert {one.mailbox for one in kept(province)} == {"Dự án"}
    whole(province)
    province.database.write(vault.tidy)
    restore(province, kept(province))
    ref = inbox(province)
    there = [province.store.content(row.blob) for row in province.store.uid_map(ref)]
    assert sorted(there) == sorted(letters)
    province.database.write(vault.tidy)
    with province.database.reading() as conn:
        left = conn.execute(sa.select(schema.mailbox).where(schema.mailbox.c.owner == 0)).all()
    assert left == []
    whole(province)


def test_purging_erases_what_nobody_else_holds(province: Province) -> None:
    ref = inbox(province)
    fill(province, ref, 3)
    rows = province.store.uid_map(ref)
    trash = province.store.find_use(province.people[f"cv1@{province.home.domain}"].ref, "\\Trash")
    assert trash is not None
    asyncio.run(province.store.copy(ref, [1], trash))
    expunge(province, ref, [1, 2])
    assert province.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(1))) == 0
    assert province.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0))) == 2
    province.store.content(rows[0].blob)
    with pytest.raises(LookupError):
        province.store.content(rows[1].blob)
    with province.database.reading() as conn:
        assert len(conn.execute(sa.select(schema.erased)).all()) == 1
    whole(province)


def test_many_are_listed_page_by_page(province: Province) -> None:
    ref = inbox(province)
    fill(province, ref, 25)
    asyncio.run(province.store.set_flags(ref, list(range(1, 26)), "add", DELETED))
    asyncio.run(province.store.expunge(ref))
    who = province.people[f"cv1@{province.home.domain}"].ref
    seen: list[int] = []
    before = None
    while True:
        with province.database.reading() as conn:
            page = vault.of_owner(conn, province.seal, who, before=before, limit=10)
        if not page:
            break
        seen += [one.uid for one in page]
        before = (page[-1].expunged_us, page[-1].ref, page[-1].uid)
    assert seen == list(range(25, 0, -1))
