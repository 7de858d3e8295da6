# SPDX-License-Identifier: AGPL-3.0-or-later
"""From files into a bucket while mail comes and is read: nothing a client remembers changes."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailserver.store import Ref
from mailserver.store.compaction import Compaction
from mailserver.store.objects import Bucket, Objects, open_bucket
from mailserver.store.relocating import Relocating
from mailserver.store.segments import Segments
from mailserver.store.store import Store
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.mailserver.store.bucket import serving
from tests.mailserver.store.letters import expunge, fill, inbox, letter


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving(tmp_path_factory.mktemp("s3")) as found:
        yield found


def restarted(province: Province, bucket: Bucket) -> Relocating:
    """As after `[store] s3_bucket` was set and everything was started again."""
    files = province.segments.path(1).parent
    province.segments.close()
    province.database.before_commit.clear()
    storage = Relocating(Segments(files), Objects(open_bucket(bucket), 1 << 20))
    province.store = Store(province.database, province.seal, storage, province.wake)
    return storage


def known(province: Province, ref: Ref) -> dict[int, tuple[int, int, bytes]]:
    """What a client has of a mailbox: modseq, flags and bytes by UID."""
    store = province.store
    return {row.uid: (row.modseq, row.flags, store.content(row.blob)) for row in store.uid_map(ref)}


def test_all_goes_up_while_mail_comes_and_is_read(province: Province, bucket: Bucket, tmp_path: Path) -> None:
    ref, other = inbox(province), inbox(province, "cv2")
    fill(province, ref, 60, size=30_000)
    expunge(province, ref, [3, 4])
    before, box = known(province, ref), province.store.mailbox(ref)
    storage = restarted(province, replace(bucket, prefix=tmp_path.name))
    assert known(province, ref) == before
    ending, problems, read = threading.Event(), [], 0

    def reads() -> None:
        nonlocal read
        while not ending.is_set():
            try:
                assert known(province, ref) == before
                read += 1
            except Exception as problem:
                problems.append(problem)
                return

    def writes() -> None:
        count = 0
        while not ending.is_set():
            count += 1
            asyncio.run(province.store.append(other, letter(f"mới {count}", 3000), 0, 1))

    threads = [threading.Thread(target=one) for one in (reads, reads, writes)]
    for one in threads:
        one.start()
    work = Compaction(province.database, storage, 0)
    report = work.round(lambda: True)
    assert report.rewritten == 1
    assert work.round(lambda: True).rewritten == 0
    assert work.remove(grace_s=0) == 1
    ending.set()
    for one in threads:
        one.join()
    assert problems == []
    assert read
    assert storage.sizes().keys() == storage._objects.sizes().keys()
    assert known(province, ref) == before
    assert province.store.mailbox(ref) == box
    shutil.rmtree(province.segments.path(1).parent)
    alone = Objects(open_bucket(replace(bucket, prefix=tmp_path.name)), 0)
    province.store = Store(province.database, province.seal, alone, province.wake)
    assert known(province, ref) == before
    assert verify_data(province.database, alone, province.seal).problems == []


def test_a_file_that_is_written_to_by_another_process_waits(
    small_province: Province, bucket: Bucket, tmp_path: Path
) -> None:
    ref = inbox(small_province)
    fill(small_province, ref, 3)
    files = small_province.segments.path(1).parent
    storage = Relocating(
        Segments(files), Objects(open_bucket(replace(bucket, prefix=tmp_path.name)), 1 << 20)
    )
    work = Compaction(small_province.database, storage, 50)
    assert work.round(lambda: True).rewritten == 0
    small_province.segments.close()
    assert work.round(lambda: True).rewritten == 1
    assert verify_data(small_province.database, storage, small_province.seal).problems == []
