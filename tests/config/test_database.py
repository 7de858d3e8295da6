# SPDX-License-Identifier: AGPL-3.0-or-later
"""Group commit: one bad job harms nobody else, nothing undone is kept, wake-ups follow the commit."""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.database import Database
from config.leases import hold, lease, release
from config.writer import DatabaseUnavailable, after_commit, after_commit_together


def add(name: str) -> sa.Insert:
    return sa.insert(lease).values(name=name, holder="h", until_us=0)


def names(database: Database) -> set[str]:
    with database.reading() as conn:
        return {row.name for row in conn.execute(sa.select(lease.c.name))}


def test_a_bad_job_fails_alone(database: Database) -> None:
    woken: list[str] = []

    def good(conn: sa.Connection, name: str) -> str:
        conn.execute(add(name))
        after_commit(conn, lambda: woken.append(name))
        return name

    def bad(conn: sa.Connection) -> None:
        conn.execute(add("half"))
        after_commit(conn, lambda: woken.append("half"))
        conn.execute(add("half"))

    def worse(conn: sa.Connection) -> None:
        conn.execute(add("quarter"))
        raise ValueError("no")

    async def walk() -> list[object]:
        jobs = [database.commit(lambda conn, n=n: good(conn, f"n{n}")) for n in range(20)]
        return await asyncio.gather(
            *jobs, database.commit(bad), database.commit(worse), return_exceptions=True
        )

    results = asyncio.run(walk())
    assert results[:20] == [f"n{n}" for n in range(20)]
    assert isinstance(results[20], sa.exc.IntegrityError)
    assert isinstance(results[21], ValueError)
    assert names(database) == {f"n{n}" for n in range(20)}
    database.write(lambda conn: None)  # wake-ups follow the answers, before the next transaction
    assert sorted(woken) == sorted(f"n{n}" for n in range(20))


def test_what_fails_before_the_commit_keeps_nothing(sqlite_database: Database) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    sqlite_database.before_commit.append(fail)
    with pytest.raises(DatabaseUnavailable):
        sqlite_database.write(lambda conn: conn.execute(add("lost")))
    sqlite_database.before_commit.clear()
    assert names(sqlite_database) == set()
    sqlite_database.write(lambda conn: conn.execute(add("kept")))
    assert names(sqlite_database) == {"kept"}


def test_a_snapshot_does_not_move(database: Database) -> None:
    database.write(lambda conn: conn.execute(add("a")))
    with database.reading() as conn:
        before = conn.execute(sa.select(sa.func.count()).select_from(lease)).scalar()
        database.write(lambda conn: conn.execute(add("b")))
        assert conn.execute(sa.select(sa.func.count()).select_from(lease)).scalar() == before
    assert names(database) == {"a", "b"}


def test_a_lease_has_one_holder(database: Database) -> None:
    assert hold(database, "duty", 60)
    assert hold(database, "duty", 60)
    database.write(lambda conn: conn.execute(sa.update(lease).values(holder="somebody else")))
    assert not hold(database, "duty", 60)
    database.write(lambda conn: conn.execute(sa.update(lease).values(until_us=1)))
    assert hold(database, "duty", 60)
    release(database, "duty")
    assert names(database) == set()


def _writer(url: str, lock: Path, who: int) -> None:
    database = Database(url, lock)
    for number in range(50):
        database.write(lambda conn, n=number: conn.execute(add(f"{who}-{n}")))
    database.close()


def test_processes_queue_for_the_writer(sqlite_database: Database, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_writer, args=(sqlite_database.url, tmp_path / "write.lock", who))
        for who in range(3)
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
    assert [one.exitcode for one in writers] == [0, 0, 0]
    assert len(names(sqlite_database)) == 150


def test_a_kept_reader_shows_each_snapshot_anew(database: Database) -> None:
    """Also within another read, and after one that failed."""
    database.keep_a_reader()
    database.write(lambda conn: conn.execute(add("a")))
    with database.reading() as conn:
        assert conn.execute(sa.select(lease.c.name)).scalars().all() == ["a"]
        database.write(lambda conn: conn.execute(add("b")))
        assert names(database) == {"a", "b"}
        assert conn.execute(sa.select(lease.c.name)).scalars().all() == ["a"]
    assert names(database) == {"a", "b"}
    with pytest.raises(DatabaseUnavailable), database.reading() as conn:
        raise sa.exc.OperationalError("select", None, Exception("gone"))
    assert names(database) == {"a", "b"}


def test_what_commits_together_is_told_once(database: Database) -> None:
    """A job that is undone may leave its word; nobody else's is lost by it."""

    class Told:
        def __init__(self) -> None:
            self.words: list[str] = []

        def __call__(self) -> None:
            heard.append(sorted(self.words))

    heard: list[list[str]] = []

    def job(conn: sa.Connection, word: str) -> None:
        after_commit_together(conn, Told, Told).words.append(word)
        if word == "bad":
            raise ValueError(word)

    async def together() -> None:
        jobs = [database.commit(lambda conn, word=word: job(conn, word)) for word in ("a", "bad", "b", "c")]  # type: ignore[misc]
        found = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(one) for one in found] == [type(None), ValueError, type(None), type(None)]

    asyncio.run(together())
    database.write(lambda conn: None)  # wake-ups follow the answers, before the next transaction
    assert {word for words in heard for word in words} - {"bad"} == {"a", "b", "c"}
    assert len(heard) <= 4
