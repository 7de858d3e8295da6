# SPDX-License-Identifier: AGPL-3.0-or-later
"""The content of a message as it comes in: counted, checked, dots taken off (RFC 5321 §4.5.2, RFC 3030).

End of data is CRLF ``.`` CRLF and nothing else: no variant with a bare CR or LF ends a message, and a
message that holds a bare CR, a bare LF or a NUL is refused as a whole, so that no other server can see
two messages where we saw one (the smuggling family of CVE-2023-51747).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Fault: TypeAlias = Literal["too-large", "bare-line-end", "nul", "no-room"]

_SMALL = 1024 * 1024
_END = b"\r\n.\r\n"


class Room:
    """Bytes that all unfinished messages of a process may hold together; the first MiB of each is free."""

    def __init__(self, total: int) -> None:
        self.left = total

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes; False when there is no room now."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give(self, size: int) -> None:
        """Give a reservation back."""
        self.left += size


class Content:
    """Collects a message's bytes up to ``limit``; past it nothing is kept, only counted.

    Pieces may be cut anywhere: a CR at the end of one waits for the next. ``fault`` is the first reason to
    refuse the message, ``size`` counts all bytes.
    """

    def __init__(self, limit: int, room: Room | None = None) -> None:
        self.limit = limit
        self.size = 0
        self.fault: Fault | None = None
        self._kept = bytearray()
        self._held_cr = False
        self._room = room
        self._reserved = 0

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        if self.fault is not None:
            return
        if self.size > self.limit:
            self._fail("too-large")
            return
        if self._held_cr:
            piece = b"\r" + piece
        self._held_cr = piece.endswith(b"\r")
        if self._held_cr:
            piece = piece[:-1]
        self._check(piece)
        if self.fault is None and self._has_room():
            self._kept += piece

    def end(self) -> bytearray:
        """The whole message, not copied; empty when ``fault`` says why there is none."""
        if self._held_cr and self.fault is None:
            self._fail("bare-line-end")
        whole, self._kept = self._kept, bytearray()
        return whole

    def release(self) -> None:
        """Forget everything, give the room back."""
        self._kept = bytearray()
        if self._room is not None and self._reserved:
            self._room.give(self._reserved)
        self._reserved = 0

    def _check(self, piece: bytes) -> None:
        if b"\0" in piece:
            self._fail("nul")
        pairs = piece.count(b"\r\n")
        if pairs != piece.count(b"\r") or pairs != piece.count(b"\n"):
            self._fail("bare-line-end")

    def _has_room(self) -> bool:
        if self._room is None or self.size <= _SMALL or self.size <= self._reserved:
            return True
        more = min(max(self._reserved, _SMALL * 2), self.limit)
        if not self._room.take(more):
            self._fail("no-room")
            return False
        self._reserved += more
        return True

    def _fail(self, fault: Fault) -> None:
        self.fault = fault
        self._kept = bytearray()


class DotStream:
    """DATA's transparency over `Content`: `feed` chunks as they come until it gives back what follows."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._tail = b"\r\n"
        self._first = True  # the line end before the first line is not part of the message

    def feed(self, chunk: bytes) -> bytes | None:
        """None while the message goes on; at its end the bytes after it (perhaps none)."""
        work = self._tail + chunk
        found = work.find(_END)
        if found >= 0:
            self._take(work[: found + 2])
            return work[found + len(_END) :]
        keep = next(size for size in (4, 3, 2, 1, 0) if work.endswith(_END[:size]))
        self._tail = work[len(work) - keep :]
        self._take(work[: len(work) - keep])
        return None

    def _take(self, piece: bytes) -> None:
        if not piece:
            return
        piece = piece.replace(b"\r\n.", b"\r\n")
        if self._first:
            piece, self._first = piece[2:], False
        if piece:
            self.content.add(piece)
