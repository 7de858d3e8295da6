# SPDX-License-Identifier: AGPL-3.0-or-later
"""Disk full, files that may not grow, the database killed: refused for now, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.database import Database
from config.leases import lease
from config.refusal import Unavailable
from mailserver.store.model import Ref
from mailserver.store.segments import Segments
from mailserver.store.storage import StorageUnavailable
from mailserver.store.store import Store
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.mailserver.store.letters import inbox, letter

_ROOT = Path(__file__).parents[3]

_LIMITED = """
import asyncio, resource, sys
from pathlib import Path
import exchange.schema
from config.database import Database
from config.leases import lease
from config.refusal import Unavailable
from config.seal import Seal
from config.wake import Wake
from mailserver.store import Ref, Store
from mailserver.store.segments import Segments

url, folder, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
ref = Ref(int(sys.argv[4]), int(sys.argv[5]))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
store = Store(Database(url, folder / "write.lock"), Seal({1: b"k" * 32}, b"d" * 32), Segments(folder / "segments"), Wake(folder))

async def walk():
    refused = 0
    for number in range(400):
        try:
            await store.append(ref, b"Subject: n%d\\r\\n\\r\\n" % number + bytes(60000), 0, 1)
            print("n%d" % number, flush=True)
        except Unavailable:
            refused += 1
            if refused > 3:
                return
asyncio.run(walk())
"""


_UNSYNCED = """
import asyncio, sys
from pathlib import Path
import exchange.schema
import sqlalchemy as sa
from config.database import Database
from config.leases import lease
from config.leases import lease
from config.refusal import Unavailable
from mailserver.store.segments import Segments

database, segments = Database(sys.argv[1]), Segments(Path(sys.argv[2]))
database.ahead.append(segments.begin_flush)
database.before_commit.append(segments.flush)

async def walk():
    for batch in range(6):
        jobs = [
            database.commit(
                lambda conn, name=f"{batch}.{number}": conn.execute(sa.insert(lease).values(name=name, holder="", until_us=0)),
                before=lambda: segments.append(bytes(5000)),
            )
            for number in range(6)
        ]
        done = await asyncio.gather(*jobs, return_exceptions=True)
        print(sum(isinstance(one, Unavailable) for one in done))
asyncio.run(walk())
database.close()
segments.close()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes the calls fail")
def test_a_disk_that_can_not_sync_refuses_all_that_shared_the_sync(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Also when the sync went on beside the transaction: none of its messages is there, and the next ones are."""
    failing = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]
    failing += ["-e", "inject=fdatasync:error=EIO:when=1..2"]
    words = [sys.executable, "-c", _UNSYNCED, sqlite_database.url, str(tmp_path / "segments")]
    done = subprocess.run([*failing, *words], cwd=_ROOT, capture_output=True, text=True, check=False)
    refused = [int(one) for one in done.stdout.split()]
    assert len(refused) == 6, done.stderr
    assert refused[0] >= 5, done.stderr
    assert refused[-1] == 0, done.stderr
    with sqlite_database.reading() as conn:
        kept = conn.execute(sa.select(lease.c.name)).scalars().all()
    assert len(kept) == 36 - sum(refused)
    assert {f"5.{number}" for number in range(6)} <= set(kept)


@pytest.mark.parametrize("limit", [3 << 20, 5 << 20, 9 << 20])
def test_files_that_may_not_grow(small_province: Province, limit: int) -> None:
    province, ref = small_province, inbox(small_province)
    folder = province.segments.path(1).parent.parent
    words = [province.database.url, str(folder), str(limit), str(ref.agency), str(ref.mailbox)]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, *words], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.split()
    assert len(told) < 400
    rows = province.store.uid_map(ref)
    held = province.store.summaries({row.blob for row in rows})
    assert set(told) <= {held[row.blob].subject for row in rows}
    assert verify_data(province.database, province.segments, province.seal).problems == []
    asyncio.run(province.store.append(ref, letter("sau đó"), 0, 1))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_defers_and_heals(small_province: Province, tmp_path: Path) -> None:
    province, ref, disk = small_province, inbox(small_province), tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(disk)], check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        province.database.before_commit.clear()
        segments = Segments(disk / "segments")
        store = Store(province.database, province.seal, segments, province.wake)
        filler = disk / "filler"
        asyncio.run(store.append(ref, letter("trước"), 0, 1))
        filler.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize))
        with pytest.raises(StorageUnavailable):
            _many(store, ref, 80)
        filler.unlink()
        asyncio.run(store.append(ref, letter("sau"), 0, 1))
        assert verify_data(province.database, segments, province.seal).problems == []
        segments.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_database_is_killed_and_comes_back(province: Province, request: pytest.FixtureRequest) -> None:
    if province.database.dialect != "postgresql":
        pytest.skip("SQLite lives inside the process")
    ref, told = inbox(province), []
    refused: list[Unavailable] = []
    ending = threading.Event()

    def client(number: int) -> None:
        own = Database(province.database.url)
        storage = Segments(province.segments.path(1).parent)
        store = Store(own, province.seal, storage, province.wake)

        async def walk() -> None:
            count = 0
            while not ending.is_set():
                count += 1
                mark = f"{number}.{count}"
                try:
                    await store.append(ref, letter(mark), 0, 1)
                    told.append(mark)
                except Unavailable as problem:
                    refused.append(problem)
                    await asyncio.sleep(0.05)

        asyncio.run(walk())
        own.close()
        storage.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    _until(lambda: len(told) > 20)
    _end_backends(province.database.url)
    mark = len(told)
    _until(lambda: len(refused) > 0)
    _until(lambda: len(told) > mark + 20)
    ending.set()
    for one in threads:
        one.join()
    rows = province.store.uid_map(ref)
    held = province.store.summaries({row.blob for row in rows})
    assert set(told) <= {held[row.blob].subject for row in rows}
    assert verify_data(province.database, province.segments, province.seal).problems == []


def _many(store: Store, ref: Ref, count: int) -> None:
    for number in range(count):
        asyncio.run(store.append(ref, letter(f"đầy {number}", 100_000), 0, 1))


def _end_backends(url: str) -> None:
    """kill -9 one of the server's processes: PostgreSQL then ends them all and recovers from its log."""
    engine = sa.create_engine(url)
    with engine.connect() as conn:
        pid = conn.execute(
            sa.text(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        ).scalar()
    engine.dispose()
    os.kill(int(pid), signal.SIGKILL)


def _until(look: object, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
