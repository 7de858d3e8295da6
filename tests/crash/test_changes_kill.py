# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 at each step of what is done in slices: flags of many as ranges that rows follow later, and deleting a mailbox.

What was told done is done; what was begun is whole or not there, and goes on afterwards.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailserver.store import SEEN, flag_ranges, vault
from tests.conftest import Province
from tests.crash.test_steps import reopened, whole
from tests.mailserver.store.letters import fill, inbox

_ROOT = Path(__file__).parents[2]
_PLACES = range(1, 81, 2) if int(os.environ.get("CONGVAN_CRASH_STEPS", "1")) >= 40 else (5, 12)
_COUNT = 12
_PROCESS = """
import asyncio, sys
from pathlib import Path
import exchange.schema
from config.database import Database
from config.seal import Seal
from config.wake import Wake
from mailserver.store import SEEN, Ref, Store, flag_ranges, moving, vault
from mailserver.store.segments import Segments

work, url, folder, ref = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Ref(int(sys.argv[4]), int(sys.argv[5]))
flag_ranges.FEWEST, flag_ranges.SLICE, moving.SLICE = 4, 5, 5
database, seal = Database(url, folder / "write.lock"), Seal({1: b"k" * 32}, b"d" * 32)
store = Store(database, seal, Segments(folder / "segments"), Wake(folder))
uids = range(1, int(sys.argv[6]) + 1)

async def flags():
    for number in range(4):
        await store.set_flags(ref, uids, "remove" if number % 2 else "add", SEEN)
        print(number, flush=True)
        while database.write(lambda conn: flag_ranges.settle_next(conn, ref)):
            pass

async def delete():
    await store.delete(ref)
    print(0, flush=True)
    while database.write(vault.tidy):
        pass

asyncio.run(flags() if work == "flags" else delete())
"""


def killed(province: Province, work: str, ref: tuple[int, int], kill_at: int) -> tuple[list[int], bool]:
    """The numbers that were told done, and whether the process was killed."""
    calls = "pwrite64,fdatasync,fsync"
    inject = f"inject={calls}:signal=KILL:when={kill_at}"
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
    folder = province.segments.path(1).parent.parent
    words = [work, province.database.url, str(folder), *map(str, ref), str(_COUNT)]
    done = subprocess.run(
        [*strace, sys.executable, "-c", _PROCESS, *words],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return [int(line) for line in done.stdout.split()], done.returncode != 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace comes with tests/debian.sh")
def test_flags_of_many(small_province: Province) -> None:
    province, ref, died = small_province, inbox(small_province), 0
    fill(province, ref, _COUNT)
    for place in _PLACES:
        before = {row.flags for row in province.store.uid_map(ref)}
        told, dead = killed(province, "flags", ref, place)
        died += dead
        reopened(province)
        whole(province)
        done = len(told)
        states = [before, *({0 if number % 2 else SEEN} for number in range(4))]
        now = {row.flags for row in province.store.uid_map(ref)}
        assert now in states[done : done + 2], (place, told)
        while province.database.write(lambda conn: flag_ranges.settle_next(conn, ref)):
            pass
        assert {row.flags for row in province.store.uid_map(ref)} == now
        whole(province)
    print(f"{died} kills")
    assert died


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace comes with tests/debian.sh")
def test_deleting_a_mailbox(small_province: Province) -> None:
    province, died = small_province, 0
    owner = province.people[f"cv1@{province.home.domain}"].ref
    for place in _PLACES:
        name = f"Hồ sơ {place}"
        ref = asyncio.run(province.store.create(owner, name))
        fill(province, ref, _COUNT)
        told, dead = killed(province, "delete", ref, place)
        died += dead
        reopened(province)
        whole(province)
        there = province.store.find(owner, name)
        assert there is None or not told
        if there is not None:
            assert len(province.store.uid_map(ref)) == _COUNT
            asyncio.run(province.store.delete(ref))
        while province.database.write(vault.tidy):
            pass
        whole(province)
        with province.database.reading() as conn:
            assert (
                len([one for one in vault.of_owner(conn, province.seal, owner) if one.ref == ref]) == _COUNT
            )
    print(f"{died} kills")
    assert died
