# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 while a backup comes back into a bucket, at each call to the network, the disk and the database: nothing
looks finished that is not, and the same command goes on until all is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import Settings
from config.settings_file import example, read
from congvan.backup.taking import take
from congvan.installation import Installation
from mailserver.store.verify import verify_data
from tests.congvan.test_backup import Client, House, in_bucket
from tests.mailserver.store.bucket import serving

_ROOT = Path(__file__).parents[2]
_LONG = int(os.environ.get("CONGVAN_CRASH_STEPS", "1")) >= 40
_CALLS = ("sendto", "pwrite64", "fsync", "rename") + _LONG * ("writev", "fdatasync", "unlink")
_PLACES = 12 if _LONG else 1
_PROCESS = """
import sys
from pathlib import Path
from config.settings_file import read
from congvan.backup.restoring import restore
from mailserver.store.objects import Objects

Objects.group_bytes = 40_000
source, target, key, settings = map(Path, sys.argv[1:])
restore(source, target, key, bucket=read(settings))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace comes with tests/debian.sh")
def test_killed_at_each_step_of_coming_back(tmp_path: Path) -> None:
    house = House(tmp_path / "house", "")
    dest, client = tmp_path / "dest", Client()
    for round_ in range(2):
        house.letters(*(f"{round_} {n} {os.urandom(10_000).hex()}" for n in range(8)))
        house.expunge([8 * round_ + 2])
        take(house.parts, dest)
    client.synchronise(house.parts, house.inbox)
    bodies = dict(client.bodies)
    house.parts.close()
    killed = 0
    with serving(tmp_path) as bucket:
        for call in _CALLS:
            name = f"again-{call}"
            file = tmp_path / f"{name}.toml"
            store = in_bucket(replace(bucket, prefix=name))
            file.write_text(example(Settings(base=tmp_path, file=file, store=store)))
            words = [str(dest), str(tmp_path / name), str(house.key), str(file)]
            command = [sys.executable, "-c", _PROCESS, *words]
            ready = tmp_path / name / "province.toml"
            for number in range(2, 4 * _PLACES, 4):
                inject = f"inject={call}:signal=KILL:when={number}"
                strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
                done = subprocess.run([*strace, *command], cwd=_ROOT, check=False, timeout=100)
                killed += done.returncode != 0
                if ready.exists():
                    break
            if not ready.exists():
                subprocess.run(command, cwd=_ROOT, check=True, timeout=100)
            parts = Installation(read(ready))
            assert verify_data(parts.database, parts.segments, parts.seal).problems == []
            client.synchronise(parts, house.inbox)
            assert client.bodies == bodies
            parts.close()
            client.modseq = 0
    print(f"{killed} kills")
    assert killed >= len(_CALLS) - 2
