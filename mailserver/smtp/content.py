# SPDX-License-Identifier: AGPL-3.0-or-later
"""The content of a message as it comes in: counted, checked, dots taken off (RFC 5321 §4.5.2, RFC 3030).

End of data is CRLF ``.`` CRLF and nothing else: no variant with a bare CR or LF ends a message, and a
message that holds a bare CR, a bare LF or a NUL is refused as a whole, so that no other server can see
two messages where we saw one (the smuggling family of CVE-2023-51747).
"""

from __future__ import annotations

import logging
from typing import Literal, TypeAlias

from mailserver.smtp.spool import Spool, SpoolFile

log = logging.getLogger("congvan.smtp")

Fault: TypeAlias = Literal["too-large", "bare-line-end", "nul", "no-room"]

_SMALL = 1024 * 1024
_PIECE = 64 * 1024
_END = b"\r\n.\r\n"
_DOTTED = b"\r\n."


class Content:
    """Collects a message's bytes up to ``limit``; past it nothing is kept, only counted.

    What is larger than 1 MiB goes to the spool, earlier when the memory of all unfinished messages is short.
    Pieces may be cut anywhere: a CR at the end of one waits for the next. ``fault`` is the first reason to
    refuse the message, ``size`` counts all bytes.
    """

    def __init__(self, limit: int, spool: Spool) -> None:
        self.limit = limit
        self.size = 0
        self.fault: Fault | None = None
        self._kept = bytearray()
        self._held_cr = False
        self._spool = spool
        self._file: SpoolFile | None = None
        self._memory = self._disk = 0

    @property
    def spooled(self) -> bool:
        """Whether it lies in the spool: then `end` takes its time."""
        return self._file is not None

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
        if self.fault is None:
            self._keep(piece)

    def end(self) -> bytes | bytearray:
        """The whole message, not copied; empty when ``fault`` says why there is none. Gives the room back.

        Raises `OSError` when the spool can't be read.
        """
        if self._held_cr and self.fault is None:
            self._fail("bare-line-end")
        try:
            if self.fault is not None:
                return bytearray()
            if self._file is None:
                return self._kept
            self._spill()
            return self._file.read()
        finally:
            self.release()

    def release(self) -> None:
        """Forget everything, give the room back."""
        self._kept = bytearray()
        self._spool.memory.give(self._memory)
        self._spool.disk.give(self._disk)
        self._memory = self._disk = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _check(self, piece: bytes) -> None:
        if b"\0" in piece:
            self._fail("nul")
        pairs = piece.count(b"\r\n")
        if pairs != piece.count(b"\r") or pairs != piece.count(b"\n"):
            self._fail("bare-line-end")

    def _keep(self, piece: bytes) -> None:
        self._kept += piece
        if self._file is not None:
            if len(self._kept) >= _PIECE:
                self._spill()
            return
        more = len(self._kept) - self._memory
        if more <= 0:
            return
        grow = max(more, self._memory, _PIECE)
        if len(self._kept) <= _SMALL and self._spool.memory.take(grow):
            self._memory += grow
            return
        try:
            self._file = self._spool.open()
        except OSError:
            log.exception("the spool can't be written")
            self._fail("no-room")
            return
        self._spill()
        self._spool.memory.give(self._memory)
        self._memory = 0

    def _spill(self) -> None:
        assert self._file is not None
        if not self._spool.disk.take(len(self._kept)):
            self._fail("no-room")
            return
        self._disk += len(self._kept)
        for at in range(0, len(self._kept), _PIECE):
            try:
                self._file.write(self._kept[at : at + _PIECE])
            except OSError:
                log.exception("the spool can't be written")
                self._fail("no-room")
                return
        self._kept = bytearray()

    def _fail(self, fault: Fault) -> None:
        self.fault = fault
        self.release()


class DotStream:
    """DATA's transparency over `Content`: `feed` chunks as they come until it gives back what follows."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._tail = b"\r\n"
        self._first = True  # the line end before the first line is not part of the message

    def feed(self, chunk: bytes) -> bytes | None:
        """None while the message goes on; at its end the bytes after it (perhaps none)."""
        work = self._tail + chunk
        dotted = work.find(_DOTTED)  # most pieces have no such line: one search is enough for them
        found = work.find(_END, dotted) if dotted >= 0 else -1
        if found >= 0:
            self._take(work[: found + 2], dots=dotted < found)
            return work[found + len(_END) :]
        keep = next(size for size in (4, 3, 2, 1, 0) if work.endswith(_END[:size]))
        self._tail = work[len(work) - keep :]
        self._take(work[: len(work) - keep], dots=dotted >= 0)
        return None

    def _take(self, piece: bytes, *, dots: bool) -> None:
        if not piece:
            return
        if dots:
            piece = piece.replace(_DOTTED, b"\r\n")
        if self._first:
            piece, self._first = piece[2:], False
        if piece:
            self.content.add(piece)
