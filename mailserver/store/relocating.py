# SPDX-License-Identifier: AGPL-3.0-or-later
"""From files on this machine into a bucket, while everybody reads and writes.

New blobs go into the bucket. Compaction takes the segments that are still files for segments to be rewritten: their
blobs go up in objects, their rows follow in short transactions, and the files are deleted when nobody can be
reading them any more. It may be killed at any step (`compaction`). UIDs, modseqs and bytes stay as they are.

Which segments are files is looked up once, at the start: nobody makes new ones.
"""

from __future__ import annotations

from mailserver.store.objects import Objects
from mailserver.store.segments import Segments
from mailserver.store.storage import BlobStorage


class Relocating:
    """The `storage.BlobStorage` of an installation that has both."""

    is_remote = True

    def __init__(self, files: Segments, objects: Objects) -> None:
        self._files, self._objects = files, objects
        self._numbers = frozenset(files.numbers())
        self.group_bytes = objects.group_bytes

    def append(self, data: bytes | bytearray) -> tuple[int, int]:
        """See `Objects.append`."""
        return self._objects.append(data)

    def begin_flush(self) -> None:
        """See `Objects.begin_flush`."""

    def flush(self) -> None:
        """See `Objects.flush`."""
        self._objects.flush()

    async def stage(self, data: bytes | bytearray) -> tuple[int, int] | None:
        """See `Objects.stage`."""
        return await self._objects.stage(data)

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """From where it lies. Raises `FileNotFoundError`, also when it went up meanwhile: the row says where."""
        return self._of(segment).read(segment, offset, length)

    def size(self, segment: int) -> int:
        """Bytes of a file or object."""
        return self._of(segment).size(segment)

    def sizes(self) -> dict[int, int]:
        """Bytes of each file and object."""
        return self._objects.sizes() | self._files.sizes()

    def is_closed(self, segment: int) -> bool:
        """Whether nobody appends to it."""
        return self._of(segment).is_closed(segment)

    def is_foreign(self, segment: int) -> bool:
        """Whether it is still a file."""
        return segment in self._numbers

    def wants_merge(self, segment: int, size: int) -> bool:
        """See `Objects.wants_merge`."""
        return segment not in self._numbers and self._objects.wants_merge(segment, size)

    def trim(self, segment: int, end: int) -> None:
        """Cut off zeros behind ``end`` of a file."""
        self._of(segment).trim(segment, end)

    def remove(self, segment: int) -> None:
        """Delete it."""
        if segment in self._numbers:
            self._files.delete(segment)
        else:
            self._objects.remove(segment)

    def sibling(self) -> BlobStorage:
        """An appender into the bucket."""
        return self._objects.sibling()

    def close(self) -> None:
        """Close all files."""
        self._files.close()
        self._objects.close()

    def _of(self, segment: int) -> Segments | Objects:
        return self._files if segment in self._numbers else self._objects
