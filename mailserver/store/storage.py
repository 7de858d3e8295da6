# SPDX-License-Identifier: AGPL-3.0-or-later
"""What keeps sealed blobs: segment files on this machine (`segments`), or objects in S3 (`objects`).

A segment is append-only until it is closed, and never changes after that; a blob is a run of bytes in one.
"""

from __future__ import annotations

from typing import Protocol

from config.refusal import Unavailable


class BlobStorage(Protocol):
    """Appends from one writer thread; everything else from any thread."""

    is_remote: bool
    group_bytes: int
    """So many bytes compaction writes at once."""

    def append(self, data: bytes | bytearray) -> tuple[int, int]:
        """Take ``data`` and return (segment, offset); durable after `flush`. Raises `StorageUnavailable`."""

    def begin_flush(self) -> None:
        """Begin to make durable what was appended, beside what the caller does next; `flush` waits for it."""

    def flush(self) -> None:
        """Make everything appended durable (before the commit that names it). Raises `OSError`."""

    async def stage(self, data: bytes | bytearray) -> tuple[int, int] | None:
        """Make ``data`` durable before the transaction, where that is better; None: `append` does it."""

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """``length`` bytes; fewer when the segment is shorter. Raises `OSError` when it is not there."""

    def size(self, segment: int) -> int:
        """Bytes of a segment, 0 when it is not there."""

    def sizes(self) -> dict[int, int]:
        """Bytes of each segment."""

    def is_closed(self, segment: int) -> bool:
        """Whether nobody appends to the segment, now or ever again."""

    def is_foreign(self, segment: int) -> bool:
        """Whether a segment lies where nothing is appended any more, and its blobs are to go elsewhere."""

    def wants_merge(self, segment: int, size: int) -> bool:
        """Whether a closed segment is better written into a larger one, though it has no waste."""

    def trim(self, segment: int, end: int) -> None:
        """Cut off what lies behind ``end`` in a closed segment, where that can be done."""

    def remove(self, segment: int) -> None:
        """Delete a closed segment; no error when it is gone already."""

    def sibling(self) -> BlobStorage:
        """The same place with an appending side of its own (for compaction)."""

    def close(self) -> None:
        """Close all files."""


class StorageUnavailable(Unavailable):
    """Message bytes can't be written or read just now: the disk is full, or the object store is away."""

    def __init__(self) -> None:
        super().__init__(
            "storage-unavailable",
            "Kho lưu thư tạm thời không ghi hoặc đọc được (hết đĩa?), chưa có gì thay đổi. Hãy thử lại sau.",
            "The mail storage can't be written or read just now (disk full?), nothing was changed. Try later.",
        )
