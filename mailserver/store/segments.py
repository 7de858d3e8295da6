# SPDX-License-Identifier: AGPL-3.0-or-later
"""Segments: append-only files of sealed blobs, zero-filled ahead, made durable once a commit.

A process appends only to a segment it made itself, from its one writer thread; anybody reads any. Bytes
of a transaction that was undone stay as waste that nothing names.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

_MAGIC = b"congvan segment 1\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
_FILL = 4 * 1024 * 1024
_FULL = 256 * 1024 * 1024
_OPEN_FILES = 64


class Segments:
    """The segment files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._number: int | None = None
        self._handle = -1
        self._end = 0
        self._filled = 0
        self._dirty = False
        self._readers: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()

    def path(self, number: int) -> Path:
        """The file of segment ``number``."""
        return self._folder / f"{number:08d}.segment"

    def append(self, data: bytes | bytearray) -> tuple[int, int]:
        """Write ``data`` and return (segment, offset). Durable after `flush`. Writer thread only."""
        if self._number is None or self._end + len(data) > _FULL:
            self._begin()
        assert self._number is not None
        need = self._end + len(data)
        if need > self._filled:
            self._fill(need)
        view, offset = memoryview(data), self._end
        while view:
            written = os.pwrite(self._handle, view, offset)
            view, offset = view[written:], offset + written
        start, self._end, self._dirty = self._end, need, True
        return self._number, start

    def flush(self) -> None:
        """Make everything appended durable (before the commit that names it)."""
        if self._dirty:
            os.fdatasync(self._handle)
            self._dirty = False

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """``length`` bytes; fewer when the file is shorter (the seal will not open then)."""
        with self._lock:
            handle = self._readers.get(segment)
            if handle is None:
                handle = os.open(self.path(segment), os.O_RDONLY | os.O_CLOEXEC)
                self._readers[segment] = handle
                if len(self._readers) > _OPEN_FILES:
                    os.close(self._readers.popitem(last=False)[1])
            else:
                self._readers.move_to_end(segment)
            handle = os.dup(handle) if length > _FILL else handle
            if length <= _FILL:
                return _pread(handle, offset, length)
        try:
            return _pread(handle, offset, length)
        finally:
            os.close(handle)

    def numbers(self) -> list[int]:
        """All segments on disk."""
        return sorted(int(path.stem) for path in self._folder.glob("*.segment"))

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for handle in self._readers.values():
                os.close(handle)
            self._readers.clear()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle, self._number = -1, None

    def _begin(self) -> None:
        """Start a segment of our own; the exclusive create is what makes its number ours."""
        if self._handle >= 0:
            os.fdatasync(self._handle)
            os.close(self._handle)
            self._handle, self._number = -1, None
        number = max(self.numbers(), default=0) + 1
        while True:
            try:
                handle = os.open(self.path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                break
            except FileExistsError:
                number += 1
        os.pwrite(handle, _MAGIC, 0)
        self._handle, self._number = handle, number
        self._end, self._filled = len(_MAGIC), len(_MAGIC)
        self._fill(_FILL)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)

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
