# SPDX-License-Identifier: AGPL-3.0-or-later
"""A process that is stopped in the middle of its transaction on SQLite."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.database import Database
from mailserver.accounts import Accounts
from mailserver.store.store import Store
from tests.conftest import Province

PATIENCE_S = 1.0
_PROCESS = """
import sys, time
from pathlib import Path
import sqlalchemy as sa
from config.database import Database
from config.leases import lease

def slowly(conn):
    conn.execute(sa.insert(lease).values(name="slow", holder="h", until_us=0))
    print("in its turn", flush=True)
    time.sleep(0.2)

database = Database(sys.argv[1], Path(sys.argv[2]))
database.write(slowly)
print("done", flush=True)
"""


@contextmanager
def stopped(url: str, lock: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is stopped in the middle of its transaction; whoever gets it lets it go on."""
    words = [sys.executable, "-c", _PROCESS, url, str(lock)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "in its turn\n"
        process.send_signal(signal.SIGSTOP)
        yield process
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "done\n"
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def impatient(province: Province, folder: Path) -> Path:
    """The province's database anew, with less patience; returns the lock file."""
    lock, url = folder / "write.lock", province.database.url
    province.database.close()
    province.database = Database(url, lock, patience_s=PATIENCE_S)
    province.accounts = Accounts(province.database, province.seal)
    province.store = Store(province.database, province.seal, province.segments, province.wake)
    return lock
