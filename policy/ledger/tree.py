# SPDX-License-Identifier: AGPL-3.0-or-later
"""The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1): pure hashing, no storage.

A tree of `size` leaves is made of full subtrees; `read(level, index)` gives the hash of the full subtree
over the leaves [index·2^level, (index+1)·2^level). Proofs are lists of 32-byte hashes, from the leaf upwards.
Functions that build raise ValueError for impossible sizes; those that check raise `ProofWrong`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

HASH = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_SIZE = 2**62

Read: TypeAlias = Callable[[int, int], bytes]


class ProofWrong(Exception):
    """A proof does not prove what it should."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the full subtrees of a tree, largest first: all that appending needs (≤ 62 hashes)."""

    __slots__ = ("_roots", "_size")

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        if not 0 <= size <= MAX_SIZE or len(roots) != size.bit_count() or any(len(r) != HASH for r in roots):
            raise ValueError("size and roots of a frontier don't agree")
        self._size = size
        self._roots = list(roots)

    @classmethod
    def decode(cls, size: int, data: bytes) -> Frontier:
        """The inverse of `encode`. Raises ValueError."""
        if len(data) % HASH:
            raise ValueError("a frontier is a row of 32-byte hashes")
        return cls(size, [data[i : i + HASH] for i in range(0, len(data), HASH)])

    def encode(self) -> bytes:
        """The roots in one row."""
        return b"".join(self._roots)

    @property
    def size(self) -> int:
        """How many leaves."""
        return self._size

    def roots(self) -> tuple[bytes, ...]:
        """The roots of the full subtrees, largest first."""
        return tuple(self._roots)

    def append(self, hash_of_leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf; gives (level, index, hash) of every full subtree it completed, lowest first."""
        completed = [(0, self._size, hash_of_leaf)]
        size, level, top = self._size, 0, hash_of_leaf
        while size & 1:
            top = node_hash(self._roots.pop(), top)
            size >>= 1
            level += 1
            completed.append((level, size, top))
        self._roots.append(top)
        self._size += 1
        return completed

    def root(self) -> bytes:
        """The root hash of the tree so far."""
        if not self._roots:
            return EMPTY_ROOT
        top = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            top = node_hash(left, top)
        return top


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root of the tree whose leaf hashes (or equal-level subtree roots) these are."""
    frontier = Frontier()
    for one in hashes:
        frontier.append(one)
    return frontier.root()


def root(size: int, read: Read) -> bytes:
    """The root of the first `size` leaves."""
    _sane(size)
    return _range(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: Read) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 §2.1.1."""
    _sane(size)
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range(middle, end, read))
            end = middle
        else:
            proof.append(_range(start, middle, read))
            start = middle
    return proof[::-1]


def consistency_proof(first: int, second: int, read: Read) -> list[bytes]:
    """PROOF(first, D[second]) of RFC 6962 §2.1.2; empty when first is 0 or equals second."""
    _sane(second)
    if not 0 <= first <= second:
        raise ValueError("the earlier tree is not smaller")
    if first in {0, second}:
        return []
    proof: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            proof.append(_range(middle, end, read))
            end = middle
        else:
            proof.append(_range(start, middle, read))
            start, whole = middle, False
    if not whole:
        proof.append(_range(start, end, read))
    return proof[::-1]


def check_inclusion(
    hash_of_leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes
) -> None:
    """RFC 9162 §2.1.3.2: the leaf is at `index` in the tree of `size` with this root. Raises `ProofWrong`."""
    _well_formed(size, proof, (hash_of_leaf, root_hash))
    if not 0 <= index < size:
        raise ProofWrong("the index is not in the tree")
    fn, sn, top = index, size - 1, hash_of_leaf
    for part in proof:
        if sn == 0:
            raise ProofWrong("the proof is too long")
        if fn & 1 or fn == sn:
            top = node_hash(part, top)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            top = node_hash(top, part)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise ProofWrong("the proof is too short")
    if top != root_hash:
        raise ProofWrong("the proof leads to another root")


def check_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """RFC 9162 §2.1.4.2: the tree of `second` begins with the tree of `first`. Raises `ProofWrong`."""
    _well_formed(second, proof, (first_root, second_root))
    if not 0 <= first <= second:
        raise ProofWrong("the earlier tree is not smaller")
    if first in {0, second}:
        if (
            proof
            or (first == second and first_root != second_root)
            or (not first and first_root != EMPTY_ROOT)
        ):
            raise ProofWrong("trees of these sizes need an empty proof and equal roots")
        return
    parts = list(proof)
    if first & (first - 1) == 0:
        parts.insert(0, first_root)
    if not parts:
        raise ProofWrong("the proof is too short")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = parts[0]
    for part in parts[1:]:
        if sn == 0:
            raise ProofWrong("the proof is too long")
        if fn & 1 or fn == sn:
            old, new = node_hash(part, old), node_hash(part, new)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, part)
        fn >>= 1
        sn >>= 1
    if sn != 0:
        raise ProofWrong("the proof is too short")
    if old != first_root or new != second_root:
        raise ProofWrong("the later tree does not begin with the earlier one")


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (> 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _range(start: int, end: int, read: Read) -> bytes:
    """MTH(D[start:end]) where start is a multiple of the largest full subtree in the range."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return read(level, start >> level)
    middle = start + _split(size)
    return node_hash(_range(start, middle, read), _range(middle, end, read))


def _sane(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise ValueError("no such size of a tree")


def _well_formed(size: int, proof: Sequence[bytes], hashes: Sequence[bytes]) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise ProofWrong("no such size of a tree")
    if len(proof) > 64 or any(len(one) != HASH for one in (*proof, *hashes)):
        raise ProofWrong("a proof is at most 64 hashes of 32 bytes")
