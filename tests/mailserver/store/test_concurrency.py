# SPDX-License-Identifier: AGPL-3.0-or-later
"""Many writers at once: UIDs unique and rising, modseqs, counters and references exact, no deadlock.

Sixteen connections on PostgreSQL, where races show; three processes on SQLite, which queue on a lock file.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
from pathlib import Path

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.database import Database
from config.seal import Seal
from config.wake import Wake
from mailserver.store import DELETED, FLAGGED, SEEN, Ref, vault
from mailserver.store.segments import Segments
from mailserver.store.store import Store
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.mailserver.store.letters import inbox

_ACTS = 25


def history(
    database: Database, segments: Path, run: Path, boxes: list[Ref], seed: int
) -> list[tuple[Ref, int]]:
    """One client's random acts; returns the places of what it appended."""
    chance = random.Random(seed)
    storage = Segments(segments)
    store = Store(database, Seal({1: b"k" * 32}, b"d" * 32), storage, Wake(run))
    made: list[tuple[Ref, int]] = []

    async def walk() -> None:
        for number in range(_ACTS):
            source, target = chance.choice(boxes), chance.choice(boxes)
            uids = [row.uid for row in store.uid_map(source)]
            some = chance.sample(uids, min(len(uids), 4))
            act = chance.randrange(8)
            if act <= 2:
                mark = f"{seed}.{number}" if chance.random() < 0.5 else f"common {chance.randrange(4)}"
                data = f"Subject: {mark}\r\n\r\n{mark}\r\n".encode()
                made.append((source, await store.append(source, data, 0, 1)))
            elif act == 3:
                how = chance.choice(["add", "remove", "replace"])
                await store.set_flags(source, some, how, chance.choice([SEEN, DELETED, FLAGGED]))
            elif act == 4:
                await store.copy(source, some, target)
            elif act == 5 and source != target:
                await store.move(source, some, target)
            elif act == 6:
                await store.expunge(source)
            else:
                await database.commit(lambda conn: vault.purge(conn, vault.cutoff_us(0)))

    asyncio.run(walk())
    database.close()
    storage.close()
    return made


def check(province: Province, made: list[tuple[Ref, int]]) -> None:
    assert len(set(made)) == len(made)
    found = verify_data(province.database, province.segments, province.seal)
    assert found.problems == []


@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(seed=st.integers(0, 2**32))
def test_sixteen_connections(province: Province, seed: int) -> None:
    boxes = [inbox(province), inbox(province, "cv2"), inbox(province, "lanhdao")]
    many = 16 if province.database.dialect == "postgresql" else 4
    folder = province.segments.path(1).parent
    made: list[tuple[Ref, int]] = []
    problems: list[BaseException] = []

    def client(number: int) -> None:
        own = Database(province.database.url, folder.parent / "write.lock")
        try:
            made.extend(history(own, folder, folder.parent, boxes, seed + number))
        except BaseException as problem:
            problems.append(problem)

    before = deadlocks(province.database)
    threads = [threading.Thread(target=client, args=(number,)) for number in range(many)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert problems == []
    assert deadlocks(province.database) == before
    check(province, made)


def deadlocks(database: Database) -> int:
    """How many deadlocks PostgreSQL has broken in this database."""
    if database.dialect != "postgresql":
        return 0
    engine = sa.create_engine(database.url)
    with engine.connect() as conn:
        query = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        found = conn.execute(query).scalar()
    engine.dispose()
    return int(found or 0)


def _in_a_process(url: str, folder: Path, boxes: list[tuple[int, int]], seed: int) -> list[tuple[Ref, int]]:
    own = Database(url, folder / "write.lock")
    return history(own, folder / "segments", folder, [Ref(*one) for one in boxes], seed)


def test_three_processes_on_sqlite(small_province: Province) -> None:
    boxes = [inbox(small_province), inbox(small_province, "cv2")]
    folder = small_province.segments.path(1).parent.parent
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        plain = [tuple(one) for one in boxes]
        args = [(small_province.database.url, folder, plain, seed) for seed in (1, 2, 3)]
        made = [place for part in pool.starmap(_in_a_process, args) for place in part]
    check(small_province, made)
