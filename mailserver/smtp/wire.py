# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bytes from the connection: command lines, chunks of data, and nothing held without a bound."""

from __future__ import annotations

import asyncio
import re

CHUNK = 64 * 1024
"""So much is taken at once; a connection's unread bytes stay within a few times of it."""

_BARE = re.compile(rb"[\r\n\0]")


class LineTooLong(Exception):
    """No end of line within `CHUNK` bytes: what the peer sends is not SMTP."""


class BadLine(Exception):
    """A line with a bare CR, a bare LF or a NUL in it (RFC 5321 §2.3.8)."""


class EndOfInput(Exception):
    """The peer sends no more."""


class WireReader(asyncio.StreamReader):
    """A stream reader that can look at, give back and drop what it holds."""

    _buffer: bytearray

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=CHUNK, loop=loop)

    async def line(self) -> bytes:
        """The next line without its CRLF. Raises `LineTooLong`, `BadLine`, `EndOfInput`."""
        try:
            line = await self.readuntil(b"\n")
        except asyncio.LimitOverrunError as problem:
            raise LineTooLong from problem
        except asyncio.IncompleteReadError as problem:
            raise EndOfInput from problem
        if not line.endswith(b"\r\n"):
            raise BadLine
        line = line[:-2]
        if _BARE.search(line):
            raise BadLine
        return line

    async def chunk(self, most: int = CHUNK) -> bytes:
        """The bytes that are there, at most ``most``; waits for some. Raises `EndOfInput`."""
        found = await self.read(most)
        if not found:
            raise EndOfInput
        return found

    @property
    def holds_a_line(self) -> bool:
        """Whether another command has already come (pipelining, RFC 2920)."""
        return b"\n" in self._buffer

    def give_back(self, rest: bytes) -> None:
        """Put bytes that belong to the next command in front again."""
        self._buffer[:0] = rest

    def drop(self) -> None:
        """Forget what came before TLS began (RFC 3207 §4.2)."""
        self._buffer.clear()
