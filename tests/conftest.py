# SPDX-License-Identifier: AGPL-3.0-or-later
"""Shared fixtures: a temporary PostgreSQL, databases on both engines, a small installation's parts."""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

import exchange.schema  # noqa: F401 - its tables belong to the metadata
import mailserver.hygiene.schema
import mailserver.search.schema
import mailserver.senderauth.schema
import mailserver.sieve.schema  # noqa: F401
from config.database import Database, metadata
from config.seal import Seal
from config.wake import Wake
from mailserver.accounts import Account, Accounts, Agency, passwords
from mailserver.accounts.changes import NewAccount, NewAgency, add_account, add_agency, set_masked, set_quota
from mailserver.store import Store, mailboxes
from mailserver.store.segments import Segments

PASSWORD = "mat-khau-thu-nghiem-26-ky-tu"


class PostgreSQL:
    """A PostgreSQL of our own in a temporary folder, run by an unprivileged user."""

    def __init__(self) -> None:
        self._programs = _postgres_programs()
        self._folder = Path(tempfile.mkdtemp(prefix="cvpg"))
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres" if _has_user("postgres") else "nobody")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as_user = [
                "setpriv",
                f"--reuid={owner.pw_uid}",
                f"--regid={owner.pw_gid}",
                "--clear-groups",
            ]
        self._data = self._folder / "data"
        self._run(
            "initdb", "-D", str(self._data), "-U", "congvan", "-A", "trust", "-E", "UTF8", "--no-locale"
        )
        self.url = f"postgresql+psycopg://congvan@/postgres?host={self._folder}"

    def start(self) -> None:
        """Start it; after a kill it recovers from its log first, which is short (a suite writes gigabytes)."""
        few = "-c max_wal_size=64MB -c checkpoint_timeout=60s"
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c max_connections=200 {few}"
        words = ("-w", "-o", options, "-l", str(self._folder / "log"), "start")
        self._run("pg_ctl", "-D", str(self._data), *words)

    def kill(self) -> None:
        """End all its processes at once, without a checkpoint."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "stop")

    def remove(self) -> None:
        """Remove what it left."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        command = [*self._as_user, str(self._programs / program), *words]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that runs."""
    made = PostgreSQL()
    made.start()
    try:
        yield made
    finally:
        made.kill()
        made.remove()


@pytest.fixture(scope="session")
def postgres_url(postgresql: PostgreSQL) -> str:
    """Where it is."""
    return postgresql.url


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _postgres_programs() -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    assert found, "PostgreSQL's programs are missing: apt-get install postgresql"
    return Path(found).resolve().parent


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database with all tables, on each engine in turn."""
    yield from _database(str(request.param), request, tmp_path)


@pytest.fixture
def sqlite_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database with all tables."""
    yield from _database("sqlite", request, tmp_path)


def _database(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/congvan.db"
        (tmp_path / "congvan.db").touch()
    else:
        url = request.getfixturevalue("postgres_url")
        engine = sa.create_engine(url)
        with engine.begin() as conn:
            metadata.drop_all(conn)
        engine.dispose()
    made = Database(url, tmp_path / "write.lock")
    made.write(lambda conn: metadata.create_all(conn))
    yield made
    made.close()


def fixed_seal() -> Seal:
    """Fixed keys, the same in every process of a test."""
    return Seal({1: b"k" * 32}, b"d" * 32)


@pytest.fixture
def seal() -> Seal:
    """Fixed keys."""
    return fixed_seal()


@dataclass
class Province:
    """Two agencies with a few people, on a real store."""

    database: Database
    seal: Seal
    accounts: Accounts
    store: Store
    segments: Segments
    wake: Wake
    home: Agency
    other: Agency
    people: dict[str, Account]

    def limit(self, who: Account, quota_bytes: int) -> None:
        """Give an account a quota."""
        self.database.write(lambda conn: set_quota(conn, self.seal, who, quota_bytes, "test"))

    def mask(self, who: Account, words: frozenset[str]) -> None:
        """Mask IMAP capabilities of an account."""
        self.database.write(lambda conn: set_masked(conn, self.seal, who, words, "test"))
        self.accounts.forget()


@pytest.fixture
def province(database: Database, seal: Seal, tmp_path: Path) -> Iterator[Province]:
    """A small province on each engine."""
    yield from _province(database, seal, tmp_path)


@pytest.fixture
def small_province(sqlite_database: Database, seal: Seal, tmp_path: Path) -> Iterator[Province]:
    """A small province on SQLite only, for tests in which the engine makes no difference."""
    yield from _province(sqlite_database, seal, tmp_path)


@pytest.fixture
def postgres_province(request: pytest.FixtureRequest, seal: Seal, tmp_path: Path) -> Iterator[Province]:
    """A small province on PostgreSQL only."""
    for database in _database("postgresql", request, tmp_path):
        yield from _province(database, seal, tmp_path)


@contextmanager
def one_province(folder: Path) -> Iterator[Province]:
    """A small province on SQLite, outside pytest."""
    (folder / "congvan.db").touch()
    database = Database(f"sqlite:///{folder}/congvan.db", folder / "write.lock")
    database.write(lambda conn: metadata.create_all(conn))
    yield from _province(database, fixed_seal(), folder)
    database.close()


@functools.cache
def _kept(salt: bytes) -> bytes:
    return passwords.keep(passwords.APP, PASSWORD, salt)


def _province(database: Database, seal: Seal, tmp_path: Path) -> Iterator[Province]:
    def job(conn: sa.Connection) -> tuple[Agency, Agency, dict[str, Account]]:
        home = add_agency(conn, seal, NewAgency("H12.01", "Văn phòng UBND", "VP", "vpubnd.camau.example"))
        other = add_agency(conn, seal, NewAgency("H12.02", "Sở Nội vụ", "SNV", "sonoivu.camau.example"))
        people = {}
        for agency in (home, other):
            for role, local in (
                ("clerk", "vt1"),
                ("leader", "lanhdao"),
                ("civil-servant", "cv1"),
                ("civil-servant", "cv2"),
            ):
                address = f"{local}@{agency.domain}"
                kept = (passwords.APP, _kept(passwords.scram_salt(seal, address)))
                people[address] = add_account(
                    conn, seal, agency, NewAccount(address, f"{role} {agency.short}", role, role, (kept,))
                )
        for agency in (home, other):
            mailboxes.create_standard(conn, seal, agency.registry)
        for one in people.values():
            mailboxes.create_standard(conn, seal, one.ref)
        return home, other, people

    home, other, people = database.write(job)
    run = Path(tempfile.mkdtemp(prefix="cv"))
    wake = Wake(run)
    segments = Segments(tmp_path / "segments")
    store = Store(database, seal, segments, wake)
    yield Province(database, seal, Accounts(database, seal), store, segments, wake, home, other, people)
    segments.close()
    shutil.rmtree(run, ignore_errors=True)
