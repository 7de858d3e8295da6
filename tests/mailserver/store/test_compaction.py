# SPDX-License-Identifier: AGPL-3.0-or-later
"""Compaction gives back what nothing names, while others read and write; readers never fail."""

from __future__ import annotations

import asyncio
import threading

from mailserver.store import vault
from mailserver.store.compaction import Compaction, usage
from mailserver.store.segments import Segments
from mailserver.store.store import Store
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.mailserver.store.letters import expunge, fill, inbox


def drop(province: Province, uids: list[int]) -> None:
    expunge(province, inbox(province), uids)
    while province.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0))):
        pass


def compaction(province: Province) -> Compaction:
    return Compaction(province.database, province.segments, 50)


def test_a_mostly_dead_segment_is_rewritten_and_removed_later(province: Province) -> None:
    letters = fill(province, inbox(province), 30, size=20_000)
    province.segments.close()  # as when its process ended
    drop(province, list(range(1, 25)))
    with province.database.reading() as conn:
        (before,) = usage(conn, province.segments).values()
    assert before.waste > 400_000
    work = compaction(province)
    report = work.round(lambda: True)
    assert report.rewritten == 1
    assert 6 * 20_000 < report.moved < 7 * 21_000
    assert work.remove() == 0  # not before the grace is over
    assert len(province.segments.numbers()) == 2
    assert work.round(lambda: True).rewritten == 0
    assert work.remove(grace_s=0) == 1
    assert len(province.segments.numbers()) == 1
    there = [province.store.content(row.blob) for row in province.store.uid_map(inbox(province))]
    assert there == letters[24:]
    found = verify_data(province.database, province.segments, province.seal)
    assert found.problems == []
    assert found.waste < 1000


def test_a_segment_that_is_appended_to_is_left_alone(province: Province) -> None:
    fill(province, inbox(province), 10, size=20_000)
    drop(province, list(range(1, 10)))
    assert compaction(province).round(lambda: True).rewritten == 0


def test_losing_the_lease_stops_it_between_two_steps(province: Province) -> None:
    fill(province, inbox(province), 10, size=20_000)
    province.segments.close()
    drop(province, list(range(1, 10)))
    assert compaction(province).round(lambda: False).moved == 0
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_readers_and_writers_go_on_meanwhile(province: Province) -> None:
    ref, other = inbox(province), inbox(province, "cv2")
    letters = fill(province, ref, 40, size=20_000)
    province.segments.close()
    drop(province, list(range(1, 31)))
    rows = province.store.uid_map(ref)
    reading = Store(
        province.database, province.seal, Segments(province.segments.path(1).parent), province.wake
    )
    ending, wrong = threading.Event(), []

    def read() -> None:
        while not ending.is_set():
            for row, data in zip(rows, letters[30:], strict=True):
                if reading.content(row.blob) != data:
                    wrong.append(row)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    for _ in range(4):
        fill(province, other, 5, size=5_000)
        province.segments.close()
        work = compaction(province)
        work.round(lambda: True)
        work.remove(grace_s=0)
        drop_half = [row.uid for row in province.store.uid_map(other)]
        expunge(province, other, drop_half)
        province.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0)))
    ending.set()
    for one in readers:
        one.join()
    assert wrong == []
    reading.segments.close()
    assert verify_data(province.database, province.segments, province.seal).problems == []


def test_a_reader_with_an_old_row_reads_the_new_place(province: Province) -> None:
    ref = inbox(province)
    letters = fill(province, ref, 10, size=20_000)
    province.segments.close()
    drop(province, list(range(1, 10)))
    (row,) = province.store.uid_map(ref)
    real = province.segments.read
    work = compaction(province)

    def slow(segment: int, offset: int, length: int) -> bytes:
        province.segments.read = real  # type: ignore[method-assign]
        work.round(lambda: True)
        work.remove(grace_s=0)
        return real(segment, offset, length)

    province.segments.read = slow  # type: ignore[method-assign]
    province.segments.close()
    assert province.store.content(row.blob) == letters[9]
    asyncio.run(province.store.append(ref, letters[9], 0, 1))
