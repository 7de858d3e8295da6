# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 at each step: strace ends the real process at its n-th call that changes something on the disk.

Deliveries, a letter that spreads, compaction and the purge of the vault run in a process of their own, which
writes to a pipe what it was told is done. Whatever call it dies in, afterwards everything told is there, the
store is whole, and the work goes on from where it was.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.database import Database
from mailserver.delivery import Delivery
from mailserver.store import vault
from mailserver.store.compaction import Compaction
from mailserver.store.verify import verify_data
from policy.rulebook import load
from tests.conftest import Province
from tests.mailserver.store.letters import expunge, fill, inbox

_ROOT = Path(__file__).parents[2]
_EVERY = int(os.environ.get("CONGVAN_CRASH_STEPS", "2"))
"""How many places each kind of work is killed at; ``make crash`` sets 40."""

_PROCESS = """
import asyncio, sys
from pathlib import Path
import exchange.schema
from config.database import Database
from config.seal import Seal
from config.wake import Wake
from mailserver.accounts import Accounts
from mailserver.delivery import Delivery, Incoming, Recipient
from mailserver.delivery import spread
from mailserver.store import Store, vault
from mailserver.store.compaction import Compaction
from mailserver.store.segments import Segments
from policy.rulebook import load

work, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
database, seal = Database(url, folder / "write.lock"), Seal({1: b"k" * 32}, b"d" * 32)
store = Store(database, seal, Segments(folder / "segments"), Wake(folder))
accounts = Accounts(database, seal)
people = [one.address for one in accounts.all()]

async def deliver():
    spread.ABOVE = 3 if work == "spread" else 200
    delivery = Delivery(store, accounts, load(None), 1 << 20)
    for number in range(12 if work == "deliver" else 3):
        to = tuple(Recipient(one) for one in (people if work == "spread" else people[-2:]))
        data = b"Subject: %s-%d\\r\\n\\r\\nx\\r\\n" % (work.encode(), number)
        await delivery.deliver(Incoming("out@elsewhere.example", to, data, "mx"))
        print(number, flush=True)
        await delivery.spread_all()

if work in ("deliver", "spread"):
    asyncio.run(deliver())
elif work == "compact":
    for _ in range(2):
        one = Compaction(database, store.segments, 50)
        one.round(lambda: True)
        one.remove(grace_s=0)
else:
    while database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0))):
        pass
"""


def run(work: str, province: Province, kill_at: int | None) -> tuple[list[int], bool]:
    """The numbers that were told done, and whether the process was killed."""
    folder = province.segments.path(1).parent.parent
    strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync,fsync,pwrite64,unlink,truncate",
    ]
    if kill_at is not None:
        strace += ["-e", f"inject=fdatasync,fsync,pwrite64,unlink,truncate:signal=KILL:when={kill_at}"]
    before = strace if kill_at is not None else []
    done = subprocess.run(
        [*before, sys.executable, "-c", _PROCESS, work, province.database.url, str(folder)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if kill_at is None:
        assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()], done.returncode != 0


def reopened(province: Province) -> None:
    """As after a restart: new connections, nothing kept in memory."""
    province.database.close()
    again = Database(province.database.url, province.segments.path(1).parent.parent / "write.lock")
    province.database = again
    province.store.database = again
    province.accounts.database = again


def whole(province: Province) -> None:
    found = verify_data(province.database, province.segments, province.seal)
    assert found.problems == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace comes with tests/debian.sh")
@pytest.mark.parametrize("work", ["deliver", "spread", "compact", "purge"])
def test_killed_at_each_step(work: str, small_province: Province) -> None:
    province, killed = small_province, 0
    for round_ in range(_EVERY):
        if work in ("compact", "purge"):
            ref = inbox(province)
            fill(province, ref, 8, size=20_000)
            province.segments.close()
            gone = [row.uid for row in province.store.uid_map(ref)][-8:-2]
            expunge(province, ref, gone)
            if work == "compact":
                while province.database.write(lambda conn: vault.purge(conn, vault.cutoff_us(0))):
                    pass
        before = subjects(province)
        kill_at = 3 + round_ * (7 if _EVERY < 10 else 2)
        told, died = run(work, province, kill_at)
        killed += died
        reopened(province)
        asyncio.run(Delivery(province.store, province.accounts, load(None), 1 << 20).spread_all())
        whole(province)
        after = subjects(province)
        if work in ("deliver", "spread"):
            for number in told:
                for box, there in after.items():
                    mark = f"{work}-{number}"
                    assert there.count(mark) - before[box].count(mark) >= (work == "spread"), (box, mark)
        else:
            assert {box: sorted(there) for box, there in after.items()} == {
                box: sorted(there) for box, there in before.items()
            }
    assert killed
    run(work, province, None)
    reopened(province)
    whole(province)
    if work == "compact":
        with province.database.reading():
            assert Compaction(province.database, province.segments, 50).round(lambda: True).rewritten == 0


def subjects(province: Province) -> dict[str, list[str]]:
    """The subjects in each person's INBOX."""
    found = {}
    for one in province.accounts.all():
        ref = province.store.find(one.ref, "INBOX")
        assert ref is not None
        rows = province.store.uid_map(ref)
        held = province.store.summaries({row.blob for row in rows})
        found[one.address] = [held[row.blob].subject or "" for row in rows]
    return found
