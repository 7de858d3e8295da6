# SPDX-License-Identifier: AGPL-3.0-or-later
"""Messages in mailboxes: counters, UIDs, change log and references hold after every act, on both engines."""

from __future__ import annotations

import asyncio
import random

import pytest
import sqlalchemy as sa

from config.refusal import Refused
from config.seal import SealBroken
from mailserver.store import DELETED, FLAGGED, SEEN, Ref, schema, vault
from mailserver.store.verify import verify_data
from tests.conftest import Province

LETTER = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: =?utf-8?B?Q8O0bmcgdsSDbg==?=\r\n\r\nN\xe1\xbb\x99i dung %d\r\n"


def inbox(province: Province, local: str = "cv1") -> Ref:
    who = province.people[f"{local}@{province.home.domain}"]
    found = province.store.find(who.ref, "INBOX")
    assert found is not None
    return found


async def fill(province: Province, ref: Ref, count: int) -> list[int]:
    return list(
        await asyncio.gather(
            *(province.store.append(ref, LETTER % n, 0, n * 1_000_000) for n in range(count))
        )
    )


def test_a_message_comes_back_byte_for_byte(province: Province) -> None:
    ref = inbox(province)
    (uid,) = asyncio.run(fill(province, ref, 1))
    (row,) = province.store.uid_map(ref)
    assert row.uid == uid == 1
    assert province.store.content(row.blob) == LETTER % 0
    assert province.store.summary(row.blob).subject == "Công văn"
    box = province.store.mailbox(ref)
    assert box is not None
    assert (box.exists, box.unseen, box.uidnext, box.size) == (1, 1, 2, row.size)


def test_parallel_appends_give_every_uid_once(province: Province) -> None:
    ref = inbox(province)
    uids = asyncio.run(fill(province, ref, 60))
    assert sorted(uids) == list(range(1, 61))
    assert [row.uid for row in province.store.uid_map(ref)] == sorted(uids)


def test_the_same_letter_is_stored_once(province: Province) -> None:
    async def walk() -> None:
        for local in ("cv1", "cv2", "lanhdao"):
            await province.store.append(inbox(province, local), LETTER % 7, 0, 1)

    asyncio.run(walk())
    with province.database.reading() as conn:
        rows = conn.execute(sa.select(schema.blob.c.refs)).all()
    assert [row.refs for row in rows] == [3]


def test_flags_change_counters_and_log(province: Province) -> None:
    ref = inbox(province)

    async def walk() -> None:
        await fill(province, ref, 5)
        before = province.store.mailbox(ref)
        assert before is not None
        changed, refused = await province.store.set_flags(ref, [1, 2, 3], "add", SEEN | FLAGGED)
        assert (changed, refused) == ([1, 2, 3], [])
        changed, _ = await province.store.set_flags(ref, [1, 2, 3], "add", SEEN)
        assert changed == []
        after = province.store.mailbox(ref)
        assert after is not None
        assert (after.unseen, after.highestmodseq) == (2, before.highestmodseq + 1)
        log = province.store.changes(ref, before.highestmodseq)
        assert [(one.first_uid, one.last_uid, one.kind) for one in log] == [(1, 3, "flags")]
        _, refused = await province.store.set_flags(ref, [1, 4], "remove", SEEN, before.highestmodseq)
        assert refused == [1]

    asyncio.run(walk())


def test_move_keeps_the_blob_and_logs_both_sides(province: Province) -> None:
    ref = inbox(province)
    trash = province.store.find_use(province.people[f"cv1@{province.home.domain}"].ref, "\\Trash")
    assert trash is not None

    async def walk() -> None:
        await fill(province, ref, 4)
        letters = [province.store.content(row.blob) for row in province.store.rows(ref, 2, 3)]
        pairs = await province.store.move(ref, [2, 3, 99], trash)
        assert pairs == [(2, 1), (3, 2)]
        assert [row.uid for row in province.store.uid_map(ref)] == [1, 4]
        moved = province.store.uid_map(trash)
        assert [province.store.content(row.blob) for row in moved] == letters
        assert [one.kind for one in province.store.changes(ref, 0)][-1] == "expunged"

    asyncio.run(walk())
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_what_was_expunged_is_erased_when_the_vault_is_purged(province: Province) -> None:
    ref = inbox(province)

    async def walk() -> None:
        await fill(province, ref, 3)
        (row, *_) = province.store.uid_map(ref)
        held = province.store.content(row.blob)
        await province.store.set_flags(ref, [1, 3], "add", DELETED)
        assert await province.store.expunge(ref, [1]) == [1]
        assert await province.store.expunge(ref) == [3]
        assert province.store.content(row.blob) == held
        province.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0)))
        with pytest.raises(LookupError):
            province.store.content(row.blob)

    asyncio.run(walk())
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_mailbox_names_and_uidvalidity(province: Province) -> None:
    who = province.people[f"cv1@{province.home.domain}"].ref

    async def walk() -> None:
        first = await province.store.create(who, "Dự án/2026")
        old = province.store.mailbox(first)
        with pytest.raises(Refused):
            await province.store.create(who, "Dự án/2026")
        await province.store.delete(first)
        again = province.store.mailbox(await province.store.create(who, "Dự án/2026"))
        assert old is not None
        assert again is not None
        assert again.uidvalidity > old.uidvalidity
        await province.store.rename(again.ref, who, "Dự án/2027")
        assert province.store.find(who, "Dự án/2026") is None

    asyncio.run(walk())
    assert province.store.find(who, "inbox") == inbox(province)


def test_random_histories_keep_every_invariant(province: Province) -> None:
    chance = random.Random(20260105)
    boxes = [inbox(province), inbox(province, "cv2")]

    async def walk() -> None:
        for _ in range(60):
            source, target = chance.choice(boxes), chance.choice(boxes)
            uids = [row.uid for row in province.store.uid_map(source)]
            some = chance.sample(uids, min(len(uids), 3))
            act = chance.randrange(6)
            if act <= 1:
                await province.store.append(source, LETTER % chance.randrange(20), 0, 1)
            elif act == 2:
                how = chance.choice(["add", "remove", "replace"])
                await province.store.set_flags(source, some, how, chance.choice([SEEN, DELETED, FLAGGED]))
            elif act == 3:
                await province.store.copy(source, some, target)
            elif act == 4 and source != target:
                await province.store.move(source, some, target)
            else:
                await province.store.expunge(source)

    asyncio.run(walk())
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_an_altered_segment_is_seen_and_named(province: Province) -> None:
    ref = inbox(province)
    asyncio.run(fill(province, ref, 2))
    (row, other) = province.store.uid_map(ref)
    whole = province.store.content(other.blob)
    with province.database.reading() as conn:
        place = conn.execute(sa.select(schema.blob).where(schema.blob.c.blob == row.blob)).one()
    path = province.segments.path(place.segment)
    data = bytearray(path.read_bytes())
    data[place.offset + 20] ^= 1
    path.write_bytes(data)
    with pytest.raises(SealBroken):
        province.store.content(row.blob)
    assert province.store.content(other.blob) == whole
    problems = verify_data(province.database, province.segments, province.seal).problems
    assert [(one.kind, one.place) for one in problems] == [("blob-unreadable", f"blob {row.blob}")]


def test_nothing_of_a_letter_lies_in_clear_on_the_disk(small_province: Province) -> None:
    ref = inbox(small_province)
    word = b"DAUHIEUBIMAT"
    letter = b"From: a@b.example\r\nSubject: " + word + b"\r\n\r\n" + word * 50
    asyncio.run(small_province.store.append(ref, letter, 0, 1))
    asyncio.run(
        small_province.store.create(
            small_province.people[f"cv1@{small_province.home.domain}"].ref, word.decode()
        )
    )
    small_province.database.close()
    folder = small_province.segments.path(1).parent.parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any("congvan.db" in path.name for path in files)
    assert [path.name for path in files if word in path.read_bytes()] == []
