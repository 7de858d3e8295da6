# SPDX-License-Identifier: AGPL-3.0-or-later
"""Segments of postings: for some consecutive blobs, which has which id (of a word or gram).

A segment is a sealed head and sealed shards. Head: ``u32`` documents · ``i64`` blobs · ``u32`` first id of each shard.
Shard: ``u32`` ids · ids ``u32`` · ends ``u32`` · a list of ``u16`` documents for each, or a bitmap where that is shorter.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

MOST_DOCS = 32_768
_SHARD = 64 * 1024
_COUNT = struct.Struct("<I")


def _bytes(code: str, values: Iterable[int]) -> bytes:
    found = array(code, values)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def _array(code: str, data: bytes) -> array[int]:
    found = array(code)
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found


class Head:
    """Which blobs a segment is about, and where its shards begin."""

    def __init__(self, blobs: array[int], firsts: array[int]) -> None:
        self.blobs = blobs
        self.firsts = firsts

    def pack(self) -> bytes:
        """Bytes for storing."""
        return _COUNT.pack(len(self.blobs)) + _bytes("q", self.blobs) + _bytes("I", self.firsts)

    @classmethod
    def unpack(cls, packed: bytes) -> Head:
        """What `pack` wrote."""
        (docs,) = _COUNT.unpack_from(packed)
        end = _COUNT.size + 8 * docs
        return cls(_array("q", packed[_COUNT.size : end]), _array("I", packed[end:]))

    def shard_of(self, identity: int) -> int:
        """The shard in which an id would be, -1 for none."""
        return bisect_right(self.firsts, identity) - 1


class Shard:
    """An opened shard of a segment with ``docs`` documents."""

    __slots__ = ("_data", "_ends", "_size", "ids", "octets")

    def __init__(self, packed: bytes, docs: int) -> None:
        (count,) = _COUNT.unpack_from(packed)
        at = _COUNT.size + 4 * count
        self.ids = _array("I", packed[_COUNT.size : at])
        self._ends = _array("I", packed[at : at + 4 * count])
        self._data = memoryview(packed)[at + 4 * count :]
        self._size = bitmap_size(docs)
        self.octets = len(packed) + 8 * count

    def posting(self, identity: int) -> bytes | None:
        """The packed posting of an id."""
        at = bisect_left(self.ids, identity)
        if at == len(self.ids) or self.ids[at] != identity:
            return None
        return bytes(self._data[self._ends[at - 1] if at else 0 : self._ends[at]])

    def items(self) -> Iterator[tuple[int, list[int]]]:
        """(id, documents) of all."""
        start = 0
        for identity, end in zip(self.ids, self._ends, strict=True):
            yield identity, documents(bytes(self._data[start:end]), self._size)
            start = end


def bitmap_size(docs: int) -> int:
    """Octets of a bitmap over so many documents."""
    return (docs + 7) // 8


def documents(posting: bytes, size: int) -> list[int]:
    """The documents of a posting; ``size`` octets has a bitmap of the segment."""
    if len(posting) != size:
        return _array("H", posting).tolist()
    return bits(int.from_bytes(posting, "little"))


def add_to(bitmap: bytearray, posting: bytes) -> None:
    """Set the bits of a posting's documents."""
    if len(posting) == len(bitmap):
        joined = int.from_bytes(bitmap, "little") | int.from_bytes(posting, "little")
        bitmap[:] = joined.to_bytes(len(bitmap), "little")
        return
    for one in _array("H", posting):
        bitmap[one >> 3] |= 1 << (one & 7)


def bits(number: int) -> list[int]:
    """The positions of the bits that are set, rising."""
    found = []
    for at, octet in enumerate(number.to_bytes((number.bit_length() + 7) // 8, "little")):
        if octet:
            base = at << 3
            found += [base + bit for bit in _BITS[octet]]
    return found


_BITS = [[bit for bit in range(8) if octet >> bit & 1] for octet in range(256)]


def shards(postings: Iterable[tuple[int, list[int]]], docs: int) -> Iterator[tuple[int, bytes]]:
    """(first id, packed shard) of postings that come by rising id, documents rising."""
    size = bitmap_size(docs)
    ids: list[int] = []
    ends: list[int] = []
    data: list[bytes] = []
    held = 0
    for identity, found in postings:
        if not found:
            continue
        if 2 * len(found) < size:
            piece = _bytes("H", found)
        else:
            bitmap = bytearray(size)
            for one in found:
                bitmap[one >> 3] |= 1 << (one & 7)
            piece = bytes(bitmap)
        ids.append(identity)
        held += len(piece)
        ends.append(held)
        data.append(piece)
        if held + 8 * len(ids) >= _SHARD:
            yield ids[0], _packed(ids, ends, data)
            ids, ends, data, held = [], [], [], 0
    if ids:
        yield ids[0], _packed(ids, ends, data)


def _packed(ids: list[int], ends: list[int], data: list[bytes]) -> bytes:
    return b"".join([_COUNT.pack(len(ids)), _bytes("I", ids), _bytes("I", ends), *data])
