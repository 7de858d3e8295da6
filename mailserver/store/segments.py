# SPDX-License-Identifier: AGPL-3.0-or-later
"""Segments: append-only files of sealed blobs, zero-filled ahead, made durable once a commit.

A process appends only to a segment it made itself, from its one writer thread, and holds a lock on the file
as long as it may append; anybody reads any. Bytes of a transaction that was undone stay as waste that nothing
names, until compaction writes the others elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from config.durable import sync_folder
from mailserver.store.storage import StorageUnavailable

_MAGIC = b"congvan segment 1\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
_FILL = 4 * 1024 * 1024
_FULL = 256 * 1024 * 1024
_OPEN_FILES = 64
_LONGEST_COMMIT_S = 120.0


class Segments:
    """The segment files in ``folder``: the `storage.BlobStorage` of one machine."""

    is_remote = False
    group_bytes = 8 * 1024 * 1024

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._number: int | None = None
        self._handle = -1
        self._end = 0
        self._filled = 0
        self._dirty = False
        self._syncer: ThreadPoolExecutor | None = None
        self._syncing: Future[None] | None = None
        self._failed: OSError | None = None
        self._full: list[tuple[float, int]] = []
        self._readers: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()

    def path(self, number: int) -> Path:
        """The file of segment ``number``."""
        return self._folder / f"{number:08d}.segment"

    # --- appending

    def append(self, data: bytes | bytearray) -> tuple[int, int]:
        """Write ``data`` and return (segment, offset). Durable after `flush`. Writer thread only.

        Raises `StorageUnavailable`; what was half written is overwritten by the next one.
        """
        self._settle()
        try:
            if self._number is None or self._end + len(data) > _FULL:
                self._begin()
            need = self._end + len(data)
            if need > self._filled:
                self._fill(need)
            view, offset = memoryview(data), self._end
            while view:
                written = os.pwrite(self._handle, view, offset)
                view, offset = view[written:], offset + written
        except OSError as problem:
            raise StorageUnavailable from problem
        assert self._number is not None
        start, self._end, self._dirty = self._end, need, True
        return self._number, start

    def begin_flush(self) -> None:
        """Have a thread make durable what was appended; `flush` waits for it.

        The disk works while the transaction's statements are carried out.
        """
        self._settle()
        if not self._dirty:
            return
        self._dirty = False
        if self._syncer is None:
            self._syncer = ThreadPoolExecutor(1, "segment-sync")
        self._syncing = self._syncer.submit(os.fdatasync, self._handle)

    def _settle(self) -> None:
        """Wait for the thread: but for this one nothing here is touched while it works."""
        if self._syncing is None:
            return
        syncing, self._syncing = self._syncing, None
        try:
            syncing.result()
        except OSError as problem:
            self._failed = problem  # until `flush` has told whoever would commit
            self._leave()

    def flush(self) -> None:
        """Make everything appended durable (before the commit that names it). Raises `OSError`."""
        self._settle()
        if self._failed is not None:
            problem, self._failed = self._failed, None
            raise problem
        while self._full and time.monotonic() - self._full[0][0] > _LONGEST_COMMIT_S:
            os.close(self._full.pop(0)[1])
        if not self._dirty:
            return
        self._dirty = False
        try:
            os.fdatasync(self._handle)
        except OSError:
            self._leave()  # what the kernel could not write it may have forgotten: never append here again
            raise

    async def stage(self, data: bytes | bytearray) -> tuple[int, int] | None:
        """Nothing to do ahead: `append` is cheap."""
        return None

    # --- reading

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """``length`` bytes; fewer when the file is shorter (the seal will not open then)."""
        with self._lock:
            handle = self._readers.get(segment)
            if handle is None:
                handle = os.open(self.path(segment), os.O_RDONLY | os.O_CLOEXEC)
                self._readers[segment] = handle
                self._let_go()
            else:
                self._readers.move_to_end(segment)
            handle = os.dup(handle) if length > _FILL else handle
            if length <= _FILL:
                return _pread(handle, offset, length)
        try:
            return _pread(handle, offset, length)
        finally:
            os.close(handle)

    def _let_go(self) -> None:
        """Close the oldest of too many files, and files that compaction removed: they still take room."""
        if len(self._readers) > _OPEN_FILES:
            os.close(self._readers.popitem(last=False)[1])
        for number, handle in list(self._readers.items()):
            if os.fstat(handle).st_nlink == 0:
                os.close(self._readers.pop(number))

    def size(self, segment: int) -> int:
        """Bytes of the file, zeros ahead included; 0 when it is not there."""
        try:
            return self.path(segment).stat().st_size
        except FileNotFoundError:
            return 0

    def sizes(self) -> dict[int, int]:
        """Bytes of each file."""
        return {number: self.size(number) for number in self.numbers()}

    def numbers(self) -> list[int]:
        """All segments on disk."""
        return sorted(int(path.stem) for path in self._folder.glob("*.segment"))

    # --- closed segments

    def is_closed(self, segment: int) -> bool:
        """Whether no living process holds the lock of the one that appends."""
        try:
            handle = os.open(self.path(segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    def is_foreign(self, segment: int) -> bool:
        """No file is."""
        return False

    def wants_merge(self, segment: int, size: int) -> bool:
        """Files may stay small."""
        return False

    def trim(self, segment: int, end: int) -> None:
        """Give back the zeros ahead of a segment whose process is gone."""
        end = max(end, len(_MAGIC))
        if self.size(segment) > end:
            os.truncate(self.path(segment), end)

    def remove(self, segment: int) -> None:
        """Delete the file; whoever reads it at this moment goes on.

        The newest stays as an empty one, so that no number is given twice: backups and open files go by numbers.
        """
        if segment == max(self.numbers(), default=0):
            self.trim(segment, 0)
        else:
            self.delete(segment)

    def delete(self, segment: int) -> None:
        """`remove` where no segment is ever begun again."""
        self.path(segment).unlink(missing_ok=True)
        sync_folder(self._folder)

    def go_on_after(self, number: int) -> None:
        """Segments begun from now on have higher numbers than this one. Nobody appends yet."""
        if number > max(self.numbers(), default=0):
            self.path(number).write_bytes(_MAGIC)
            sync_folder(self._folder)

    def sibling(self) -> Segments:
        """Another appender into the same folder, to a segment of its own."""
        return Segments(self._folder)

    def close(self) -> None:
        """Close all files; the segment appended to loses its zeros ahead."""
        self._settle()
        if self._syncer is not None:
            self._syncer.shutdown()
            self._syncer = None
        with self._lock:
            for handle in self._readers.values():
                os.close(handle)
            self._readers.clear()
        if self._handle >= 0:
            os.ftruncate(self._handle, self._end)
        self._leave()
        for _, handle in self._full:
            os.close(handle)
        self._full.clear()

    def _leave(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._number, self._dirty = -1, None, False

    def _begin(self) -> None:
        """Start a segment of our own; the exclusive create is what makes its number ours."""
        if self._handle >= 0:
            os.fdatasync(self._handle)
            # Its lock is kept until the transaction that names its last bytes has surely ended: to compaction a
            # segment without a lock is one of which everything that lives is named.
            self._full.append((time.monotonic(), self._handle))
            self._handle, self._number = -1, None
        number = max(self.numbers(), default=0) + 1
        while True:
            try:
                handle = os.open(self.path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                break
            except FileExistsError:
                number += 1
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(handle, _MAGIC, 0)
        except OSError:
            os.close(handle)
            raise
        self._handle, self._number = handle, number
        self._end, self._filled = len(_MAGIC), len(_MAGIC)
        self._fill(_FILL)
        sync_folder(self._folder)

    def _fill(self, need: int) -> None:
        """Really write zeros ahead: appends then change no metadata and sync twice as fast."""
        target = -(-need // _FILL) * _FILL
        zeros = bytes(min(_FILL, target - self._filled))
        while self._filled < target:
            self._filled += os.pwrite(self._handle, zeros[: target - self._filled], self._filled)
        os.fsync(self._handle)


def _pread(handle: int, offset: int, length: int) -> bytes:
    data = os.pread(handle, length, offset)
    while len(data) < length:
        more = os.pread(handle, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
