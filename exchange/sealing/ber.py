# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading BER (X.690) for CMS: a stream of elements from a file, and small elements as trees.

A CMS of gigabytes is read in pieces: `Stream` enters and leaves constructed elements, gives small ones whole,
and long strings in chunks, whatever mixture of definite, indefinite and constructed forms they come in.
A tree (`Node`) brings an element of indefinite length into definite form when it meets one. Bounded: depth 40,
the limit of each whole element, no high tag numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from exchange.sealing import der

MAX_DEPTH = 40
CHUNK = 256 * 1024
CONSTRUCTED = 0x20
_END = 0x00
Buffer: TypeAlias = bytes | memoryview


class Readable(Protocol):
    """What gives bytes, forward only."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, b"" at the end."""

    def readinto(self, buffer: memoryview, /) -> int:
        """How many bytes were put into ``buffer``, 0 at the end."""


def pieces_of(source: Readable) -> Iterator[memoryview]:
    """All of ``source`` in pieces; each is good until the next is asked for."""
    buffer = memoryview(bytearray(CHUNK))
    while count := source.readinto(buffer):
        yield buffer[:count]


class Malformed(ValueError):
    """The bytes are no BER of the form expected."""


class Node:
    """One element in definite form: ``tag`` is its identifier octet, ``raw`` all its bytes."""

    __slots__ = ("_body", "_data", "_end", "_start", "after", "tag")

    def __init__(self, data: bytes, start: int = 0, limit: int | None = None) -> None:
        """The element at ``start`` of ``data``; it must end at ``limit`` or before."""
        limit = len(data) if limit is None else limit
        self.after = -1
        if data[start + 1 : start + 2] == b"\x80":
            anew, self.after = _definite(data, start, limit, 0)
            data, start, limit = anew or b"", 0, len(anew or b"")
        self._data, self._start = data, start
        self.tag, self._body, self._end = _frame(data, start, limit)
        if self.after < 0:
            self.after = self._end

    @classmethod
    def only(cls, data: bytes) -> Node:
        """The one element that ``data`` (BER) is; nothing may follow it. Raises `Malformed`."""
        node = cls(data)
        if node.after != len(data):
            raise Malformed("something follows the element")
        return node

    @property
    def content(self) -> bytes:
        """The bytes of the value."""
        return self._data[self._body : self._end]

    @property
    def raw(self) -> bytes:
        """The whole element."""
        return self._data[self._start : self._end]

    def children(self) -> list[Node]:
        """The elements of a constructed one. Raises `Malformed`."""
        if not self.tag & CONSTRUCTED:
            raise Malformed("the element has no elements in it")
        found, at = [], self._body
        while at < self._end:
            child = Node(self._data, at, self._end)
            found.append(child)
            at = child.after
        return found

    def must(self, tag: int) -> Node:
        """Itself, when it has this identifier octet. Raises `Malformed`."""
        if self.tag != tag:
            raise Malformed(f"element {self.tag:02x} where {tag:02x} should be")
        return self

    def oid(self) -> str:
        """An OBJECT IDENTIFIER in dotted form."""
        body = self.must(der.OID_TAG).content
        if not body or body[-1] & 0x80 or len(body) > 64:
            raise Malformed("object identifier")
        numbers, value = [], 0
        for octet in body:
            value = value << 7 | octet & 0x7F
            if not octet & 0x80:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def integer(self) -> int:
        """An INTEGER of at most 64 bytes."""
        body = self.must(der.INTEGER).content
        if not 0 < len(body) <= 64:
            raise Malformed("integer")
        return int.from_bytes(body, "big", signed=True)

    def octets(self, tag: int = der.OCTET_STRING) -> bytes:
        """An OCTET STRING (or one with an implicit ``tag``), put together when it is constructed."""
        if self.tag == tag:
            return self.content
        self.must(tag | CONSTRUCTED)
        return b"".join(child.octets() for child in self.children())

    def bits(self) -> bytes:
        """A BIT STRING of whole bytes."""
        body = self.must(der.BIT_STRING).content
        if body[:1] != b"\x00":
            raise Malformed("bit string")
        return body[1:]

    def time(self) -> datetime:
        """A UTCTime or GeneralizedTime in UTC (RFC 5652 §11.3)."""
        text = self.content.decode("ascii", "replace")
        pattern = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}.get(self.tag)
        if pattern is None or len(text) > 15:
            raise Malformed("time")
        found = datetime.strptime(text, pattern).replace(tzinfo=UTC)
        if self.tag == 0x17:  # RFC 5280 §4.1.2.5.1: years 50–99 are of the last century
            two = int(text[:2])
            found = found.replace(year=1900 + two if two >= 50 else 2000 + two)
        return found


class Stream:
    """Elements one after the other from a file that is read forward only."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._ahead = b""
        self._at = 0
        self._buffer = memoryview(b"")
        self._ends: list[int | None] = []
        """Where the constructed elements we are in end; ``None``: indefinite."""

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._at

    def enter(self, tag: int) -> None:
        """Go into the constructed element that must come next."""
        found, length = self._header()
        if found != tag or not tag & CONSTRUCTED or len(self._ends) >= MAX_DEPTH:
            raise Malformed(f"element {found:02x} where {tag:02x} should be")
        self._ends.append(None if length is None else self._at + length)

    def leave(self) -> None:
        """Come out of it; nothing may be left in it."""
        if self.peek() != -1:
            raise Malformed("something more in the element than it may have")
        if self._ends.pop() is None and self._take(2) != b"\x00\x00":
            raise Malformed("no end of contents")

    def peek(self) -> int:
        """The identifier octet of the next element, -1 at the end of the one we are in (or of the file)."""
        if self._ends and self._ends[-1] is not None and self._at >= self._ends[-1]:
            if self._at > self._ends[-1]:
                raise Malformed("an element ends behind the one it is in")
            return -1
        if not self._ahead:
            self._ahead = self._source.read(1)
        if not self._ahead:
            if self._ends:
                raise Malformed("it ends too early")
            return -1
        tag = self._ahead[0]
        if self._ends and self._ends[-1] is None and tag == _END:
            return -1
        return tag

    def whole(self, limit: int) -> Node:
        """The next element, of at most ``limit`` bytes."""
        return Node(self._raw(limit, 0))

    def string(self, tag: int) -> Iterator[memoryview]:
        """The value of an OCTET STRING (implicit ``tag``; primitive, or constructed to any depth) in chunks.

        Each is good until the next is asked for.
        """
        found, length = self._header()
        if found == tag:
            if length is None:
                raise Malformed("a primitive element without a length")
            yield from self._chunks(length)
            return
        if found != tag | CONSTRUCTED or len(self._ends) >= MAX_DEPTH:
            raise Malformed(f"element {found:02x} where {tag:02x} should be")
        self._ends.append(None if length is None else self._at + length)
        while self.peek() != -1:
            yield from self.string(der.OCTET_STRING)
        self.leave()

    def finish(self) -> None:
        """Nothing may follow in the file."""
        if self._ends or self._ahead or self._source.read(1):
            raise Malformed("something follows the structure")

    def _raw(self, limit: int, depth: int) -> bytes:
        start = self._at
        tag, length, head = self._header_bytes()
        if length is not None:
            if length > limit:
                raise Malformed("an element is larger than it may be")
            return head + self._take(length)
        if not tag & CONSTRUCTED or depth >= MAX_DEPTH:
            raise Malformed("an indefinite length that may not be")
        parts = [head]
        while True:
            if self._next() == _END:
                parts.append(self._take(2))
                if parts[-1] != b"\x00\x00":
                    raise Malformed("no end of contents")
                break
            parts.append(self._raw(limit - (self._at - start), depth + 1))
            if self._at - start > limit:
                raise Malformed("an element is larger than it may be")
        return b"".join(parts)

    def _next(self) -> int:
        """The next octet, without regard to the element we are in."""
        if not self._ahead:
            self._ahead = self._source.read(1)
        if not self._ahead:
            raise Malformed("it ends too early")
        return self._ahead[0]

    def _header(self) -> tuple[int, int | None]:
        tag, length, _ = self._header_bytes()
        return tag, length

    def _header_bytes(self) -> tuple[int, int | None, bytes]:
        if self.peek() == -1:
            raise Malformed("an element is missing")
        head = self._take(2)
        tag, first = head
        if tag & 0x1F == 0x1F or tag == _END:
            raise Malformed("a tag that CMS does not have")
        if first < 0x80:
            return tag, self._within(first), head
        if first == 0x80:
            return tag, None, head
        if first > 0x88:
            raise Malformed("a length that nobody has")
        octets = self._take(first & 0x7F)
        return tag, self._within(int.from_bytes(octets, "big")), head + octets

    def _within(self, length: int) -> int:
        ends = [end for end in self._ends if end is not None]
        if ends and self._at + length > ends[-1]:
            raise Malformed("an element ends behind the one it is in")
        return length

    def _take(self, size: int) -> bytes:
        parts, left = [], size
        if self._ahead and size:
            parts.append(self._ahead)
            self._ahead = b""
            left -= 1
        while left:
            piece = self._source.read(min(left, CHUNK))
            if not piece:
                raise Malformed("it ends too early")
            parts.append(piece)
            left -= len(piece)
        self._at += size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _chunks(self, length: int) -> Iterator[memoryview]:
        if self._ahead and length:
            yield memoryview(self._take(1))
            length -= 1
        if length and not self._buffer:
            self._buffer = memoryview(bytearray(min(length, CHUNK)))
        while length:
            count = self._source.readinto(self._buffer[:length])
            if not count:
                raise Malformed("it ends too early")
            self._at += count
            length -= count
            yield self._buffer[:count]


def _definite(data: bytes, start: int, limit: int, depth: int) -> tuple[bytes | None, int]:
    """(the element anew, or ``None`` when it stays; where it ends)."""
    if depth > MAX_DEPTH:
        raise Malformed("nested too deep")
    if limit - start < 2:
        raise Malformed("it ends too early")
    tag = data[start]
    if data[start + 1] != 0x80:
        _, body, end = _frame(data, start, limit)
        if not tag & CONSTRUCTED:
            return None, end
        stop: int | None = end
    else:
        if not tag & CONSTRUCTED:
            raise Malformed("a primitive element without a length")
        body, stop = start + 2, None
    parts: list[bytes] = []
    changed, at = stop is None, body
    while at != stop:
        if stop is None and data[at : at + 2] == b"\x00\x00":
            break
        new, after = _definite(data, at, limit if stop is None else stop, depth + 1)
        parts.append(data[at:after] if new is None else new)
        changed, at = changed or new is not None, after
    end = at if stop is not None else at + 2
    return (der.tlv(tag, *parts) if changed else None), end


def _frame(data: bytes, start: int, limit: int) -> tuple[int, int, int]:
    """(identifier octet, where the value begins, where it ends) of the definite element at ``start``."""
    if limit - start < 2:
        raise Malformed("it ends too early")
    tag, first = data[start], data[start + 1]
    if tag & 0x1F == 0x1F or tag == _END:
        raise Malformed("a tag that CMS does not have")
    body = start + 2
    if first >= 0x80:
        size = first & 0x7F
        if not 0 < size <= 8 or body + size > limit:
            raise Malformed("a length that nobody has")
        first = int.from_bytes(data[body : body + size], "big")
        body += size
    if body + first > limit:
        raise Malformed("an element ends behind the one it is in")
    return tag, body, body + first
