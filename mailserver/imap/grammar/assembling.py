# SPDX-License-Identifier: AGPL-3.0-or-later
"""Received bytes → complete commands, literals included (RFC 9051 §4.3, RFC 7888 §4, RFC 3516 §4.4).

Pulled, not pushed: the next command is taken only when the one before it is answered, so limits and the
discarding of STARTTLS hold from the very next octet. What is too big is thrown away as it comes in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_LITERAL = re.compile(rb"~?\{(\d{1,20})(\+)?\}\Z")
_HEAD = re.compile(rb"([^ ]{1,100}) +(?:UID +)?([A-Za-z]+)", re.IGNORECASE)
_MAX_LITERALS = 256
_SWALLOW = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """One complete command: text, literal, text, literal … text; no line ends."""

    fragments: list[bytes]
    literals: list[bytes]


@dataclass(frozen=True, slots=True)
class Continue:
    """A synchronising literal is wanted: say so to the client."""


@dataclass(frozen=True, slots=True)
class TooBig:
    """A literal over the limit was refused or thrown away; the command of ``tag`` is over."""

    tag: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class Overrun:
    """More than can be borne: the connection must end."""

    reason: str


Event = Command | Continue | TooBig | Overrun


class Assembler:
    """``line_limit``: octets of text in a command; ``literal_limit(verb)``: octets of one literal, of all in it."""

    __slots__ = (
        "_buffer",
        "_drop",
        "_dropped",
        "_fragments",
        "_literals",
        "_need",
        "_octets",
        "_seen",
        "_text",
        "line_limit",
        "literal_limit",
    )

    def __init__(self, line_limit: int, literal_limit: Callable[[bytes], tuple[int, int]]) -> None:
        self.line_limit = line_limit
        self.literal_limit = literal_limit
        self._buffer = bytearray()
        self._seen = 0
        self._need: int | None = None
        self._drop = 0
        self._dropped = 0  # the limit that was passed, while the rest of the command is thrown away
        self._clear()

    def _clear(self) -> None:
        self._fragments: list[bytes] = []
        self._literals: list[bytes] = []
        self._text = self._octets = 0

    @property
    def held(self) -> int:
        """Octets waiting that are beyond the literal being received."""
        return len(self._buffer) - (self._need or 0)

    def feed(self, data: bytes) -> None:
        """Take received octets."""
        if self._drop:
            take = min(self._drop, len(data))
            self._drop -= take
            data = data[take:]
        self._buffer += data

    def discard(self) -> None:
        """Forget everything not yet taken (STARTTLS)."""
        self._buffer.clear()
        self._seen, self._need, self._drop, self._dropped = 0, None, 0, 0
        self._clear()

    def next(self) -> Event | None:
        """The next event, or None when more octets are needed."""
        while True:
            if self._need is not None:
                if len(self._buffer) < self._need:
                    return None
                with memoryview(self._buffer) as view:
                    self._literals.append(bytes(view[: self._need]))
                del self._buffer[: self._need]
                self._need = None
            end = self._buffer.find(b"\n", self._seen)
            if end < 0:
                self._seen = len(self._buffer)
                if self._text + self._seen > self.line_limit:
                    return Overrun("line too long")
                return None
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._seen = 0
            self._text += len(line)
            if self._text > self.line_limit:
                return Overrun("command too long")
            event = self._line(line)
            if event is not None:
                return event

    def _line(self, line: bytes) -> Event | None:
        if not self._dropped:
            self._fragments.append(line)
        match = _LITERAL.search(line) if line.endswith(b"}") else None
        if match is None:
            return self._finish()
        size, promised = int(match[1]), match[2] is not None
        head = _HEAD.match(self._fragments[0])
        limit, whole = self.literal_limit(head[2].upper() if head else b"")
        fits = size <= limit and self._octets + size <= whole
        if not self._dropped and fits and len(self._literals) < _MAX_LITERALS:
            self._octets += size
            self._need = size
            return None if promised else Continue()
        self._dropped = limit or 1
        if not promised:
            return self._finish()
        if size > _SWALLOW:
            return Overrun("literal too big")
        take = min(size, len(self._buffer))
        del self._buffer[:take]
        self._drop = size - take
        return None

    def _finish(self) -> Event:
        fragments, literals, dropped = self._fragments, self._literals, self._dropped
        self._dropped = 0
        self._clear()
        if dropped:
            head = _HEAD.match(fragments[0])
            return TooBig(head[1] if head else b"*", dropped)
        return Command(fragments, literals)
