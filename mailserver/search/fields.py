# SPDX-License-Identifier: AGPL-3.0-or-later
"""The header fields of the messages of a page, by name: whoever asks for some fields opens those and no others.

Packed: the directory (UIDs, the names, and for each message its shape: which fields it has, in order), then for each
name the fields of all messages. Each of these is compressed for itself. Little-endian.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Self

_FIELD = re.compile(rb"^([^\s:]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)", re.MULTILINE)
_NAME = re.compile(rb"[^\s:\0]+")
_HEAD = struct.Struct("<III")  # of the directory: messages, shapes, octets of the names
_LENGTH = struct.Struct("<I")
_LONGEST = 16 * 1024
_MOST_NAMES = 100
_END = b"\r\n"


def answers(names: Iterable[bytes]) -> bool:
    """Whether a page can tell fields of these names; an odd one only the message can."""
    return all(_NAME.fullmatch(one) for one in names)


class Fields:
    """The header fields of some messages, rising by UID."""

    def __init__(
        self, uids: array[int], names: list[bytes], shapes: list[bytes], of: array[int], columns: list[bytes]
    ) -> None:
        self.uids = uids
        self._names = names
        self._shapes = shapes  # the index of each field's name; behind the last name: of a rare one
        self._of = of
        self._columns = columns

    @classmethod
    def of(cls, found: Iterable[tuple[int, bytes | None]]) -> Self:
        """Of (UID, header) pairs; None, what is very long, and what holds a NUL is left out."""
        kept = [
            (uid, [(match[1].lower(), match[0]) for match in _FIELD.finditer(head)])
            for uid, head in found
            if head is not None and len(head) <= _LONGEST and b"\0" not in head
        ]
        times = Counter(name for _, fields in kept for name, _ in fields)
        names = [name for name, _ in times.most_common(_MOST_NAMES)]
        index = {name: at for at, name in enumerate(names)}
        values: list[list[bytes]] = [[] for _ in range(len(names) + 1)]
        shapes: dict[bytes, int] = {}
        of = array("H")
        for _, fields in kept:
            shape = bytes([index.get(name, len(names)) for name, _ in fields])
            for at, (_, raw) in zip(shape, fields, strict=True):
                values[at].append(raw)
            of.append(shapes.setdefault(shape, len(shapes)))
        columns = [zlib.compress(b"\0".join(some), 6) if some else b"" for some in values]
        return cls(array("I", [uid for uid, _ in kept]), names, list(shapes), of, columns)

    def pack(self) -> bytes:
        """Bytes for storing."""
        names = b"\n".join(self._names)
        lengths = array("I", map(len, self._shapes))
        numbers = [_little(one).tobytes() for one in (self.uids, lengths, self._of)]
        head = _HEAD.pack(len(self.uids), len(self._shapes), len(names))
        directory = zlib.compress(b"".join([head, *numbers, names, *self._shapes]))
        return b"".join([_LENGTH.pack(len(one)) + one for one in (directory, *self._columns)])

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """What `pack` wrote. Raises `ValueError`."""
        try:
            pieces: list[bytes] = []
            at = 0
            while at < len(packed):
                (length,) = _LENGTH.unpack_from(packed, at)
                at += _LENGTH.size
                pieces.append(packed[at : at + length])
                at += length
            directory = zlib.decompress(pieces[0])
            count, kinds, named = _HEAD.unpack_from(directory)
        except (struct.error, zlib.error, IndexError) as problem:
            raise ValueError("not the fields of a page") from problem
        at = _HEAD.size
        uids, at = _take("I", directory, at, count)
        lengths, at = _take("I", directory, at, kinds)
        of, at = _take("H", directory, at, count)
        names = directory[at : at + named].split(b"\n") if named else []
        at += named
        shapes = []
        for length in lengths:
            shapes.append(directory[at : at + length])
            at += length
        return cls(uids, names, shapes, of, pieces[1:])

    def chosen(self, wanted: Sequence[bytes]) -> list[bytes]:
        """Of each message the fields of these names (in any case, see `answers`) in their order, and the empty line."""
        asked = {one.lower() for one in wanted}
        rare = len(self._names)
        taken = [at for at, name in enumerate(self._names) if name in asked]
        if self._columns[rare] and not asked.issubset(self._names):
            taken.append(rare)
        others = bytes(set(range(rare + 1)).difference(taken))
        shapes = [one.translate(None, others) for one in self._shapes]
        values = {at: self._values(at) for at in taken}
        if rare in values:
            values[rare] = [one if _name(one) in asked else b"" for one in values[rare]]
        if len(set(shapes)) == 1 and len(set(shapes[0])) == len(
            shapes[0]
        ):  # as mostly where one program wrote
            rows = zip(*[values[at] for at in shapes[0]], repeat(_END, len(self.uids)), strict=True)
            return list(map(b"".join, rows))
        take = {at: iter(some).__next__ for at, some in values.items()}
        plans = [[take[at] for at in shape] for shape in shapes]
        return [b"".join([*[one() for one in plans[shape]], _END]) for shape in self._of]

    def _values(self, at: int) -> list[bytes]:
        packed = self._columns[at]
        return zlib.decompress(packed).split(b"\0") if packed else []


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].rstrip(b" \t").lower()


def _little(values: array[int]) -> array[int]:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values


def _take(code: str, data: bytes, start: int, count: int) -> tuple[array[int], int]:
    found = array(code)
    end = start + found.itemsize * count
    found.frombytes(data[start:end])
    return _little(found), end
