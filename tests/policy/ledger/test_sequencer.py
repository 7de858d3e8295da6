# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sequencer: contiguous indexes, crashes between all steps, refusing to sign over a rolled-back state."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.database import Database
from config.refusal import Unavailable
from config.seal import Seal
from policy.ledger import publish, receipt, schema, store
from policy.ledger.checkpoint import read_signed
from policy.ledger.integrate import LedgerDisagrees, integrate, prove_consistency
from policy.ledger.succession import LogKeys
from policy.ledger.tree import check_consistency
from policy.ledger.verify import verify
from tests.policy.ledger import logs
from tests.policy.ledger.logs import KEY


class Crash(Exception):
    """The process ends here."""


def test_an_empty_log_is_published(database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(database, seal, tmp_path / "ledger")
    assert log.sequencer.sequence_once() == 0
    report = verify(log.folder)
    assert report.ok, report.problems
    assert report.size == 0
    assert report.not_newer_than is None


def test_grows_over_tile_edges(database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(database, seal, tmp_path / "ledger")
    states: list[bytes] = []
    for count in (1, 2, 252, 1, 1, 300, 768, 0, 5):
        log.write(count)
        log.sequencer.sequence_once()
        report = verify(log.folder, KEY, states)
        assert report.ok, report.problems
        states.append((log.folder / "checkpoint").read_bytes())
    assert report.size == 1330
    with database.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(schema.pending)).scalar_one() == 0
        old, new = read_signed(states[2], KEY), read_signed(states[-1], KEY)
        proof = prove_consistency(conn, old.size, new.size)
    check_consistency(old.size, new.size, old.root, new.root, proof)
    for index in (0, 255, 256, 1024, 1329):
        assert receipt.verify(log.sequencer.proof(index), KEY).leaf.index == index
    partial = sorted(path for path in log.folder.rglob("*") if path.parent.name.endswith(".p"))
    assert [path.relative_to(log.folder).as_posix() for path in partial] == [
        "tile/0/005.p/50",
        "tile/1/000.p/5",
        "tile/entries/005.p/50",
    ]


def test_an_entry_waits_for_its_checkpoint(database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(database, seal, tmp_path / "ledger")
    log.grow(1)
    log.write(1)
    database.write(integrate)
    with pytest.raises(Unavailable, match="not-yet-sealed"):
        log.sequencer.proof(1)
    log.sequencer.sequence_once()
    assert log.sequencer.proof(1).index == 1


def test_a_rolled_back_job_leaves_no_entry(database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(database, seal, tmp_path / "ledger")

    def job(conn: sa.Connection) -> None:
        integrate(conn)
        raise Crash

    log.write(3)
    with pytest.raises(Crash):
        database.write(job)
    log.sequencer.sequence_once()
    assert verify(log.folder).size == 3


def test_nothing_is_lost_while_many_write(database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(database, seal, tmp_path / "ledger")
    second = Database(database.url, tmp_path / "write.lock")
    other = logs.make(second, seal, log.folder)
    writers = [
        threading.Thread(target=lambda one=one: [one.write(3) for _ in range(15)])
        for one in (log, other, log, other)
    ]
    try:
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            log.sequencer.sequence_once()
        for writer in writers:
            writer.join()
        log.sequencer.sequence_once()
    finally:
        second.close()
    report = verify(log.folder)
    assert report.ok, report.problems
    assert report.size == 4 * 15 * 3
    with database.reading() as conn:
        details = conn.execute(sa.select(schema.entry.c.detail)).scalars().all()
    assert len(set(details)) == 180


def _steps(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the process end before its `count`th step that leaves something behind."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done > count:
            raise Crash

    for module, name in (
        (store, "sign"),
        (store, "_keep"),
        (os, "replace"),
        (os, "fsync"),
        (publish, "sync_folder"),
    ):
        real = getattr(module, name)

        def broken(*values: object, real: object = real, **named: object) -> object:
            step()
            return real(*values, **named)  # type: ignore[operator]

        monkeypatch.setattr(module, name, broken)


def test_a_crash_at_every_step_is_made_good(sqlite_database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(250)
    count, crashed = 0, True
    while crashed:
        before = verify(log.folder).size
        log.write(7)
        log.again()
        with pytest.MonkeyPatch.context() as patch:
            _steps(patch, count)
            try:
                log.sequencer.sequence_once()
                crashed = False
            except Crash:
                pass
        shown = read_signed((log.folder / "checkpoint").read_bytes(), KEY)
        assert shown.size >= before
        log.again().sequence_once()
        report = verify(log.folder, KEY)
        assert report.ok, (count, report.problems)
        assert report.size == 250 + 7 * (count + 1)
        count += 1
    assert count > 8


def test_a_torn_history_is_mended(sqlite_database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(300, 300)
    history = log.folder / "checkpoints"
    whole = history.read_bytes()
    for cut in (10, 100, len(whole) // 2, len(whole) - 1):
        history.write_bytes(whole[:cut])
        log.again().sequence_once()
        assert history.read_bytes() == whole
        assert verify(log.folder).ok


def test_a_lost_folder_is_made_again(sqlite_database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(300, 300)
    before = (log.folder / "checkpoint").read_bytes()
    shutil.rmtree(log.folder)
    log.again().sequence_once()
    assert (log.folder / "checkpoint").read_bytes() == before
    assert verify(log.folder).ok


def test_a_database_from_yesterday_signs_nothing(
    sqlite_database: Database, seal: Seal, tmp_path: Path
) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(10)
    with sqlite3.connect(tmp_path / "congvan.db") as new, sqlite3.connect(tmp_path / "old.db") as copy:
        new.backup(copy)
    log.grow(10)
    old = Database(f"sqlite:///{tmp_path}/old.db", tmp_path / "old.lock")
    try:
        behind = logs.make(old, seal, log.folder)
        with pytest.raises(LedgerDisagrees):
            behind.sequencer.sequence_once()
        behind.write(20)
        with pytest.raises(LedgerDisagrees):
            behind.sequencer.sequence_once()
    finally:
        old.close()
    assert verify(log.folder).size == 20


@pytest.mark.parametrize(
    "change",
    [
        sa.update(schema.entry).where(schema.entry.c.index == 3).values(leaf_hash=b"x" * 32),
        sa.update(schema.entry).where(schema.entry.c.index == 3).values(leaf=b"x"),
        sa.delete(schema.entry).where(schema.entry.c.index == 3),
        sa.update(schema.state).values(frontier=b"x" * 64),
        sa.update(schema.checkpoint).values(root=b"x" * 32),
    ],
)
def test_a_changed_database_signs_nothing(
    sqlite_database: Database, seal: Seal, tmp_path: Path, change: sa.Executable
) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(10)
    before = (log.folder / "checkpoint").read_bytes()
    sqlite_database.write(lambda conn: conn.execute(change))
    log.write(1)
    with pytest.raises(LedgerDisagrees):
        log.again().sequence_once()
    assert (log.folder / "checkpoint").read_bytes() == before


def test_a_signer_that_is_away_loses_nothing(sqlite_database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(1)

    def away(_: object, __: bytes) -> bytes:
        raise Unavailable("signer-away", "…", "…")

    log.write(4)
    with pytest.raises(Unavailable):
        store.Sequencer(sqlite_database, log.folder, logs.keys, away).sequence_once()
    log.sequencer.sequence_once()
    assert verify(log.folder).size == 5


def test_another_key_is_refused(sqlite_database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(sqlite_database, seal, tmp_path / "ledger")
    log.grow(1)
    key = type(KEY)("other.example/ledger", KEY.public)
    with pytest.raises(LedgerDisagrees):
        store.Sequencer(sqlite_database, log.folder, lambda: LogKeys(key), logs.signed).sequence_once()
