# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 while a backup is taken, at each call to the disk: the generations before it stay whole, what is half there
counts for nothing and is gone after the next one, which has everything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.leases import lease
from congvan.backup.restoring import restore
from congvan.backup.taking import manifests, take
from congvan.installation import Installation
from mailserver.store.verify import verify_data
from tests.congvan.test_backup import House

_ROOT = Path(__file__).parents[2]
_LONG = int(os.environ.get("CONGVAN_CRASH_STEPS", "1")) >= 40
_CALLS = ("mkdir", "fsync", "rename") + _LONG * ("pwrite64", "fdatasync", "unlink")
_PLACES = range(1, 14) if _LONG else (2, 5)
_PROCESS = """
import sys
from pathlib import Path
from config.settings_file import read
from congvan.backup.taking import take
from congvan.installation import Installation

take(Installation(read(Path(sys.argv[1]))), Path(sys.argv[2]))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace comes with tests/debian.sh")
def test_killed_at_each_step_of_a_backup(tmp_path: Path) -> None:
    house, dest = House(tmp_path / "house", ""), tmp_path / "dest"
    house.letters("trước")
    take(house.parts, dest)
    command = [sys.executable, "-c", _PROCESS, str(house.parts.settings.file), str(dest)]
    killed = 0
    for call in _CALLS:
        for number in _PLACES:
            house.letters(f"{call} {number}")
            before = len(manifests(dest))
            inject = f"inject={call}:signal=KILL:when={number}"
            strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
            done = subprocess.run([*strace, *command], cwd=_ROOT, check=False, timeout=100)
            killed += done.returncode != 0
            assert len(manifests(dest)) - before in ((0, 1) if done.returncode else (1,))
            house.parts.database.write(lambda conn: conn.execute(sa.delete(lease)))  # its time has run out
    subprocess.run(command, cwd=_ROOT, check=True, timeout=100)
    print(f"{killed} kills of {len(_CALLS) * len(_PLACES)}")
    assert killed >= len(_CALLS)
    assert not list(dest.glob(".*"))
    bodies = {row.uid: house.parts.store.content(row.blob) for row in house.parts.store.uid_map(house.inbox)}
    house.parts.close()
    parts = Installation(restore(dest, tmp_path / "again", house.key).settings)
    assert verify_data(parts.database, parts.segments, parts.seal).problems == []
    found = {row.uid: parts.store.content(row.blob) for row in parts.store.uid_map(house.inbox)}
    assert found == bodies
    parts.close()
