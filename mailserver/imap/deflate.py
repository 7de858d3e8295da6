# SPDX-License-Identifier: AGPL-3.0-or-later
"""The two streams of COMPRESS=DEFLATE (RFC 4978 §3): raw deflate, flushed with each reply, bounded inflating."""

from __future__ import annotations

import zlib

_LEVEL, _WINDOW, _MEMORY = 1, -13, 6
"""About 64 KiB for the sending half; an idle connection keeps both halves."""
PIECE = 64 * 1024


class Deflate:
    """One connection's streams."""

    __slots__ = ("_in", "_out", "_tail")

    def __init__(self) -> None:
        self._out = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY)
        self._in = zlib.decompressobj(-15)
        self._tail = b""

    def deflate(self, data: bytes) -> bytes:
        """``data`` compressed to a boundary, so that the client can read all of it (Z_SYNC_FLUSH)."""
        return self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)

    def take(self, data: bytes) -> None:
        """Keep received octets until `inflate` asks for them."""
        self._tail += data

    def inflate(self) -> bytes:
        """At most `PIECE` octets of what came; b"" when more must come. Raises `ConnectionError` for garbage."""
        if not self._tail and not self._in.unconsumed_tail:
            return b""
        try:
            out = self._in.decompress(self._tail, PIECE)
        except zlib.error as problem:
            raise ConnectionAbortedError("not deflate") from problem
        self._tail = self._in.unconsumed_tail
        if not out and self._in.eof:
            raise ConnectionAbortedError("the stream has ended")
        return out

    @property
    def held(self) -> int:
        """Octets received and not yet inflated."""
        return len(self._tail)
