# SPDX-License-Identifier: AGPL-3.0-or-later
"""A process of ours is stopped in its turn to write: the others give up in bounded time with words, the event loops
go on, the operator learns its pid; when it goes on, so does everything, and nothing acknowledged is missing.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from config.database import Database
from config.leases import lease
from config.turns import Holder, WriterStuck, holder
from config.writer import DatabaseUnavailable
from congvan import turns_check
from tests.conftest import Province
from tests.mailserver.smtp.serving import Talk, serving
from tests.mailserver.smtp.test_outages import acknowledged, judged, sending, until
from tests.mailserver.stopping import PATIENCE_S, impatient, stopped


def test_senders_hear_451_and_all_goes_on_afterwards(small_province: Province, tmp_path: Path) -> None:
    lock = impatient(small_province, tmp_path)
    with serving(small_province, tmp_path) as mail, sending(mail, 4) as senders:
        until(lambda: acknowledged(senders) > 10)
        with stopped(small_province.database.url, lock) as process:
            assert holder(lock) == Holder(process.pid, stopped=True)
            began = time.monotonic()
            until(lambda: all(one.deferred for one in senders), 10)
            assert time.monotonic() - began < 4 * PATIENCE_S
            with Talk(mail.mx) as talk:  # the loop answers, at once
                began = time.monotonic()
                talk.ask("EHLO p.example")
                assert time.monotonic() - began < 0.5
            with pytest.raises(WriterStuck):
                small_province.database.refuse_when_stuck()
            good, vi, en = turns_check.look(SimpleNamespace(run_dir=tmp_path))  # type: ignore[arg-type]
            assert not good
            assert f"kill -CONT {process.pid}" in vi
            assert f"process {process.pid} has the right to write and is stopped" in en
            answers = [answer for one in senders for answer in one.deferred]
            assert any(f"({process.pid})" in answer for answer in answers), answers
        mark = acknowledged(senders)
        until(lambda: acknowledged(senders) > mark + 10)
        small_province.database.refuse_when_stuck()
        assert turns_check.look(SimpleNamespace(run_dir=tmp_path))[0]  # type: ignore[arg-type]
        for one in senders:
            one.ending.set()
        for one in senders:
            one.join(60)
        judged(mail, senders, unsure=0)


def test_who_waits_for_a_transaction_is_answered_and_nothing_of_it_is_kept(
    sqlite_database: Database, tmp_path: Path
) -> None:
    lock = tmp_path / "write.lock"
    mine = Database(sqlite_database.url, lock, patience_s=PATIENCE_S)
    names = [f"n{number}" for number in range(3)]
    heard: list[str] = []

    def write(name: str) -> None:
        try:
            mine.write(lambda conn: conn.execute(sa.insert(lease).values(name=name, holder="h", until_us=0)))
        except WriterStuck as problem:
            heard.append(problem.code)

    with stopped(mine.url, lock):
        threads = [threading.Thread(target=write, args=(name,)) for name in names]
        for one in threads:
            one.start()
            time.sleep(0.1)
        for one in threads:
            one.join(5 * PATIENCE_S)
        assert heard == ["writer-stuck"] * 3
    write("after")
    with mine.reading() as conn:
        assert set(conn.execute(sa.select(lease.c.name)).scalars()) == {"slow", "after"}
    mine.close()


def test_a_process_can_end_while_another_is_stopped(sqlite_database: Database, tmp_path: Path) -> None:
    lock = tmp_path / "write.lock"
    mine = Database(sqlite_database.url, lock, patience_s=PATIENCE_S)
    with stopped(mine.url, lock):
        began = time.monotonic()
        failed: list[BaseException] = []

        def write() -> None:
            try:
                mine.write(lambda conn: None)
            except WriterStuck as problem:
                failed.append(problem)

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.1)
        mine.close()
        thread.join(5)
        assert failed
        assert time.monotonic() - began < 5 * PATIENCE_S


def test_a_locked_row_of_postgresql_is_waited_for_as_long(postgres_province: Province) -> None:
    mine = Database(postgres_province.database.url, patience_s=PATIENCE_S)
    add = sa.insert(lease).values(name="one", holder="h", until_us=0)
    mine.write(lambda conn: conn.execute(add))
    other = sa.create_engine(mine.url)
    change = sa.update(lease).values(until_us=1)
    with other.begin() as conn:
        conn.execute(change)
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            mine.write(lambda conn: conn.execute(change))
        assert time.monotonic() - began < 5 * PATIENCE_S
    mine.write(lambda conn: conn.execute(change))
    other.dispose()
    mine.close()
