# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 while files go up into a bucket, at each call to the network or the disk: every message can be read after
each, under the same UIDs, and in the end no file is left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailserver.store import Ref
from mailserver.store.objects import Objects, open_bucket
from mailserver.store.relocating import Relocating
from mailserver.store.segments import Segments
from mailserver.store.storage import BlobStorage
from mailserver.store.store import Store
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.crash.test_steps import reopened
from tests.mailserver.store.bucket import serving
from tests.mailserver.store.letters import fill, inbox

_ROOT = Path(__file__).parents[2]
_CALLS = ("sendto", "writev", "pwrite64", "fdatasync", "unlink")
_PLACES = 12 if int(os.environ.get("CONGVAN_CRASH_STEPS", "1")) >= 40 else 1
_PROCESS = """
import sys
from pathlib import Path
import exchange.schema
from config.database import Database
from mailserver.store.compaction import Compaction
from mailserver.store.objects import Bucket, Objects, open_bucket
from mailserver.store.relocating import Relocating
from mailserver.store.segments import Segments

url, folder, name, prefix, endpoint, region, credentials = sys.argv[1:]
bucket = Bucket(name, prefix, endpoint, region, Path(credentials))
database = Database(url, Path(folder) / "write.lock")
objects = Objects(open_bucket(bucket), 1 << 20)
objects.group_bytes = 150_000
for _ in range(2):
    work = Compaction(database, Relocating(Segments(Path(folder) / "segments"), objects), 0)
    work.round(lambda: True)
    work.remove(grace_s=0)
"""


def known(province: Province, ref: Ref, storage: BlobStorage) -> dict[int, tuple[int, int, bytes]]:
    """What a client has of a mailbox, read where the bytes lie now."""
    province.database.before_commit.clear()
    province.store = store = Store(province.database, province.seal, storage, province.wake)
    return {row.uid: (row.modseq, row.flags, store.content(row.blob)) for row in store.uid_map(ref)}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace comes with tests/debian.sh")
def test_killed_at_each_step_of_going_up(small_province: Province, tmp_path: Path) -> None:
    province, ref = small_province, inbox(small_province)
    folder = province.segments.path(1).parent.parent
    with serving(tmp_path) as bucket:
        words = [
            province.database.url,
            str(folder),
            bucket.name,
            bucket.prefix,
            bucket.endpoint,
            bucket.region,
        ]
        command = [sys.executable, "-c", _PROCESS, *words, str(bucket.credentials)]
        objects = Objects(open_bucket(bucket), 0)

        def same(before: dict[int, tuple[int, int, bytes]]) -> bool:
            reopened(province)
            storage = Relocating(Segments(folder / "segments"), objects)
            found = verify_data(province.database, storage, province.seal).problems
            return known(province, ref, storage) == before and found == []

        killed = 0
        for call in _CALLS:
            for number in range(1, 2 * _PLACES + 1, 2):
                files = Segments(folder / "segments")  # more files, as if they had been there all the time
                province.database.before_commit.clear()
                province.store = Store(province.database, province.seal, files, province.wake)
                fill(province, ref, 6, size=60_000)
                files.close()
                before = known(province, ref, Relocating(Segments(folder / "segments"), objects))
                inject = f"inject={call}:signal=KILL:when={number}"
                strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
                done = subprocess.run([*strace, *command], cwd=_ROOT, check=False, timeout=100)
                killed += done.returncode != 0
                assert same(before), (call, number)
        print(f"{killed} kills of {len(_CALLS) * _PLACES}")
        assert killed >= len(_CALLS) - 1
        subprocess.run(command, cwd=_ROOT, check=True, timeout=100)
        assert not list((folder / "segments").glob("*.segment"))
        assert same(before)
