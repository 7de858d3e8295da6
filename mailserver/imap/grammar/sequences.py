# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sequence sets (RFC 9051 §9 ``sequence-set``): read, resolved against a mailbox, written."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_RANGE = re.compile(rb"(\d{1,10}|\*)(?::(\d{1,10}|\*))?\Z")
_TOP = 2**32 - 1


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as written; 0 stands for ``*``. ``saved``: they are UIDs of a saved result, ``$`` (RFC 5182)."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False

    def resolve(self, largest: int) -> list[tuple[int, int]]:
        """Closed ranges, sorted, joined; ``*`` is ``largest`` (RFC 9051: ``N:*`` always has the last)."""
        found = []
        for first, last in self.ranges:
            low, high = first or largest, last or largest
            found.append((low, high) if low <= high else (high, low))
        found.sort()
        joined: list[tuple[int, int]] = []
        for low, high in found:
            if joined and low <= joined[-1][1] + 1:
                if high > joined[-1][1]:
                    joined[-1] = (joined[-1][0], high)
            else:
                joined.append((low, high))
        return joined

    def positions(self, uids: Sequence[int], *, uid: bool) -> list[range]:
        """The message positions (from 0) it names in a mailbox with these UIDs, as rising ranges."""
        count = len(uids)
        found = []
        if uid or self.saved:
            for low, high in self.resolve(uids[-1] if count else 0):
                one = range(bisect_left(uids, low), bisect_right(uids, high))
                if one:
                    found.append(one)
            return found
        for low, high in self.resolve(count):
            one = range(max(low, 1) - 1, min(high, count))
            if one:
                found.append(one)
        return found

    def beyond(self, count: int) -> bool:
        """Whether it names a sequence number there is no message for."""
        if self.saved:
            return False
        return any(first > count or last > count for first, last in self.ranges) or (
            not count and any(0 in one for one in self.ranges)
        )


def parse_sequence_set(text: bytes) -> SequenceSet | None:
    """The set, or None when it is not one (0, garbage, over 32 bits)."""
    found = []
    if b":" not in text and b"*" not in text and b"," in text:  # a long list of numbers is read in one go
        pieces = text.split(b",")
        if not all(pieces) or max(map(len, pieces)) > 10:
            return None
        numbers = list(map(int, pieces))
        return (
            SequenceSet(tuple(zip(numbers, numbers, strict=True)))
            if 0 < min(numbers) <= max(numbers) <= _TOP
            else None
        )
    for piece in text.split(b","):
        match = _RANGE.match(piece)
        if match is None:
            return None
        first = 0 if match[1] == b"*" else int(match[1])
        last = first if match[2] is None else 0 if match[2] == b"*" else int(match[2])
        if max(first, last) > _TOP or (first == 0 and match[1] != b"*"):
            return None
        if last == 0 and match[2] is not None and match[2] != b"*":
            return None
        found.append((first, last))
    return SequenceSet(tuple(found))


def write_set(numbers: Iterable[int]) -> bytes:
    """Rising numbers as a compact sequence set."""
    out: list[bytes] = []
    first = last = -1
    for one in numbers:
        if one == last + 1 and first >= 0:
            last = one
            continue
        if first >= 0:
            out.append(_range(first, last))
        first = last = one
    if first >= 0:
        out.append(_range(first, last))
    return b",".join(out)


def write_ranges(spans: Iterable[tuple[int, int]]) -> bytes:
    """Rising closed ranges as a sequence set."""
    return b",".join([_range(first, last) for first, last in spans])


def _range(first: int, last: int) -> bytes:
    return b"%d" % first if first == last else b"%d:%d" % (first, last)
