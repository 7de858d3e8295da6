# SPDX-License-Identifier: AGPL-3.0-or-later
"""Naming what was done to a bundle of entries: pure comparison of entries, hashes and the entries' own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from policy.ledger.leaf import FIRST_PREVIOUS, decode
from policy.ledger.tree import leaf_hash


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a log; `index` is that of the entry, or of the first one concerned."""

    kind: str
    index: int | None
    detail: str


def compare(first: int, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> list[Problem]:
    """How `leaves` differ from the entries that `hashes` (of the tree) stand for; `first` is their index."""
    found = [leaf_hash(leaf) for leaf in leaves]
    problems: list[Problem] = []
    if len(found) == len(hashes):
        place = {value: i for i, value in enumerate(hashes)}
        for i, value in enumerate(found):
            j = place.get(value, i)
            if j > i and found[j] == hashes[i]:
                problems.append(
                    Problem("entry-swapped", first + i, f"entries {first + i} and {first + j} changed places")
                )
                found[i], found[j] = hashes[i], hashes[j]
    known = set(hashes)
    matcher = SequenceMatcher(None, hashes, found, autojunk=False)
    for _, low, high, at, to in (step for step in matcher.get_opcodes() if step[0] != "equal"):
        pairs = min(high - low, to - at)
        for i in range(pairs):
            problems.append(_replaced(first + low + i, leaves[at + i]))
        for i in range(low + pairs, high):
            problems.append(Problem("entry-missing", first + i, f"entry {first + i} is gone"))
        for i in range(at + pairs, to):
            copy = " (a copy of another entry)" if found[i] in known else ""
            problems.append(Problem("entry-inserted", first + i, f"no such entry was recorded{copy}"))
    return sorted(problems, key=lambda problem: problem.index or 0)


def _replaced(index: int, leaf: bytes) -> Problem:
    try:
        says = decode(leaf).index
    except ValueError as problem:
        return Problem("entry-edited", index, f"entry {index} was changed: {problem}")
    if says != index:
        return Problem("entry-swapped", index, f"in the place of entry {index} stands entry {says}")
    return Problem("entry-edited", index, f"entry {index} was changed")


@dataclass(slots=True)
class OwnWords:
    """Follows what entries say of themselves: number and hash of the one before.

    Finds what hash tiles can't show because they were recomputed too. `previous` is None where the entry before is
    not known or already named.
    """

    shift: int = 0
    previous: bytes | None = FIRST_PREVIOUS
    problems: list[Problem] = field(default_factory=list)
    last_us: int | None = None

    def skip(self, previous: bytes | None) -> None:
        """Pass over an entry that is named already; `previous` is the hash it should have."""
        self.previous = previous

    def read(self, index: int, leaf: bytes, following: bytes | None) -> None:
        """Judge the entry at `index`; `following` is the next entry of the bundle, when there is one."""
        try:
            words = decode(leaf)
        except ValueError as problem:
            self.problems.append(Problem("entry-edited", index, f"entry {index}: {problem}"))
            self.previous = None
            return
        shift = words.index - index
        if shift != self.shift:
            self._moved(index, words.index, shift, following)
            self.previous = None
        elif self.previous is not None and words.previous != self.previous:
            before = index - 1
            self.problems.append(
                Problem(
                    "entry-edited",
                    max(before, 0),
                    f"entry {before} is not the one that entry {index} follows",
                )
            )
        self.previous = leaf_hash(leaf)
        self.last_us = words.at_us

    def _moved(self, index: int, says: int, shift: int, following: bytes | None) -> None:
        try:
            lasting = following is None or decode(following).index - index - 1 == shift
        except ValueError:
            lasting = False
        if not lasting:
            self.problems.append(
                Problem("entry-swapped", index, f"in the place of entry {index} stands entry {says}")
            )
            return
        if shift > self.shift:
            gone = index + self.shift
            self.problems.append(
                Problem("entry-missing", gone, f"{shift - self.shift} entries from {gone} on are gone")
            )
        else:
            self.problems.append(
                Problem("entry-inserted", says, f"two entries say that they are number {says}")
            )
        self.shift = shift
