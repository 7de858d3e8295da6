# SPDX-License-Identifier: AGPL-3.0-or-later
"""Names and bytes of tiles and entry bundles (C2SP tlog-tiles).

A tile of level L and number N holds the hashes of the subtrees of 256^L leaves with indexes
[256·N, 256·N + width); width is 256 for a full tile, 1…255 for the one at the right edge. An entry bundle
holds the leaves themselves, each after its length as a big-endian uint16.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from policy.ledger.leaf import MAX_LEAF
from policy.ledger.tree import HASH

WIDTH = 256
BITS = 8
MAX_BUNDLE = WIDTH * (2 + MAX_LEAF)
ENTRIES = -1
"""The `level` of entry bundles."""

_NUMBER = r"(?:x[0-9]{3}/)*[0-9]{3}"
_PATH = re.compile(rf"tile/(entries|0|[1-9][0-9]?)/({_NUMBER})(?:\.p/([1-9][0-9]{{0,2}}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """One file of the log. `level` is ENTRIES for a bundle; `width` is 1…256."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Its path inside the folder, e.g. `tile/0/x001/234.p/17`."""
        groups = [f"{self.number % 1000:03d}"]
        rest = self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{level}/{'/'.join(groups)}" + ("" if self.width == WIDTH else f".p/{self.width}")


def parse_path(path: str) -> Tile | None:
    """The tile a path names, or None when it is not the canonical path of one."""
    found = _PATH.fullmatch(path)
    if found is None or len(path) > 100:
        return None
    level = ENTRIES if found[1] == "entries" else int(found[1])
    number = int(found[2].replace("x", "").replace("/", ""))
    tile = Tile(level, number, int(found[3]) if found[3] else WIDTH)
    if level > 7 or tile.width > WIDTH or tile.path != path:
        return None
    return tile


def levels(size: int) -> range:
    """The levels of hash tiles a tree of `size` has."""
    count = 0
    while size >> (BITS * count):
        count += 1
    return range(count)


def width_of(level: int, number: int, size: int) -> int:
    """How many hashes (or entries) a tile holds in a tree of `size`; 0: it does not exist."""
    count = size >> (BITS * max(level, 0))
    return max(0, min(WIDTH, count - number * WIDTH))


def edge(size: int) -> Iterator[Tile]:
    """The partial tiles and bundle of a tree of `size`: the files that a larger tree replaces."""
    for level in (ENTRIES, *levels(size)):
        count = size >> (BITS * max(level, 0))
        if count % WIDTH:
            yield Tile(level, count // WIDTH, count % WIDTH)


def fresh(old: int, size: int) -> Iterator[Tile]:
    """The files of a tree of `size` that a tree of `old` does not have, bundles first, in order."""
    for level in (ENTRIES, *levels(size)):
        shift = BITS * max(level, 0)
        before, after = old >> shift, size >> shift
        if before == after:
            continue
        for number in range(before // WIDTH, (after + WIDTH - 1) // WIDTH):
            yield Tile(level, number, width_of(level, number, size))


def encode_bundle(leaves: Iterable[bytes]) -> bytes:
    """The bytes of an entry bundle."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def salvage_bundle(data: bytes) -> tuple[list[bytes], bool]:
    """The leaves of a bundle as far as they can be told apart, and whether all is in its form.

    Lengths must add up, no entry may be longer than 200 bytes, there are at most 256.
    """
    leaves: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        end = start + int.from_bytes(data[at:start], "big")
        if end > len(data) or end - start > MAX_LEAF or len(leaves) == WIDTH:
            leaves.append(data[at:])
            return leaves, False
        leaves.append(data[start:end])
        at = end
    return leaves, True


def split_hashes(data: bytes) -> Sequence[bytes]:
    """The hashes of a tile. Raises ValueError when it is not a row of 1…256 hashes."""
    if not data or len(data) % HASH or len(data) > WIDTH * HASH:
        raise ValueError("a tile is a row of 1 to 256 hashes of 32 bytes")
    return [data[i : i + HASH] for i in range(0, len(data), HASH)]
