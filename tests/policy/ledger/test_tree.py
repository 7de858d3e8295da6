# SPDX-License-Identifier: AGPL-3.0-or-later
"""Known answers of Certificate Transparency, and every pair of sizes against a plain model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    ProofWrong,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    root_of_hashes,
)

# The eight leaves and roots of the test vectors of Certificate Transparency (RFC 6962 implementations).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def model_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, as written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + model_root(leaves[:split]) + model_root(leaves[split:])).digest()


def reader(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    """Full subtrees over `leaves`."""
    return lambda level, index: model_root(leaves[index << level : (index + 1) << level])


LEAVES = [bytes([i]) * (i % 5) + bytes([i]) for i in range(70)]


def test_known_roots() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    for leaf, expected in zip(CT_LEAVES, CT_ROOTS, strict=True):
        frontier.append(leaf_hash(leaf))
        assert frontier.root().hex() == expected


def test_known_inclusion_proof() -> None:
    proof = inclusion_proof(5, 8, reader(CT_LEAVES))
    assert [part.hex() for part in proof] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_known_consistency_proof() -> None:
    proof = consistency_proof(6, 8, reader(CT_LEAVES))
    assert [part.hex() for part in proof] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize("size", range(1, 71))
def test_every_inclusion(size: int) -> None:
    leaves = LEAVES[:size]
    read = reader(leaves)
    top = model_root(leaves)
    assert root(size, read) == top
    assert root_of_hashes([leaf_hash(leaf) for leaf in leaves]) == top
    for index in range(size):
        proof = inclusion_proof(index, size, read)
        check_inclusion(leaf_hash(leaves[index]), index, size, proof, top)
        for wrong in (index + 1, index - 1, size):
            if wrong != index:
                with pytest.raises(ProofWrong):
                    check_inclusion(leaf_hash(leaves[index]), wrong, size, proof, top)
        with pytest.raises(ProofWrong):
            check_inclusion(leaf_hash(leaves[index]), index, size, [*proof, bytes(32)], top)
        if proof:
            with pytest.raises(ProofWrong):
                check_inclusion(leaf_hash(leaves[index]), index, size, proof[:-1], top)


@pytest.mark.parametrize("second", range(71))
def test_every_consistency(second: int) -> None:
    read = reader(LEAVES[:second])
    top = model_root(LEAVES[:second])
    for first in range(second + 1):
        earlier = model_root(LEAVES[:first])
        proof = consistency_proof(first, second, read)
        check_consistency(first, second, earlier, top, proof)
        with pytest.raises(ProofWrong):
            check_consistency(first, second, bytes(32), top, proof)
        if first:
            with pytest.raises(ProofWrong):
                check_consistency(first, second, earlier, bytes(32), proof)
        if proof:
            with pytest.raises(ProofWrong):
                check_consistency(first, second, earlier, top, proof[1:])


@given(st.integers(0, 300), st.integers(0, 300), st.lists(st.binary(min_size=32, max_size=32), max_size=12))
@settings(max_examples=300, deadline=None)
def test_invented_proofs_prove_nothing(index: int, size: int, proof: list[bytes]) -> None:
    with pytest.raises(ProofWrong):
        check_inclusion(b"\x01" * 32, index, size, proof, b"\x02" * 32)
    with pytest.raises(ProofWrong):
        check_consistency(index, size, b"\x01" * 32, b"\x02" * 32, proof)


@given(st.integers(0, 2000))
@settings(max_examples=60, deadline=None)
def test_frontier_survives_storage(size: int) -> None:
    frontier = Frontier()
    for i in range(size):
        frontier.append(leaf_hash(i.to_bytes(4, "big")))
    again = Frontier.decode(size, frontier.encode())
    again.append(bytes(32))
    frontier.append(bytes(32))
    assert again.root() == frontier.root()


def test_completed_subtrees_are_the_tree() -> None:
    frontier = Frontier()
    nodes: dict[tuple[int, int], bytes] = {}
    for leaf in LEAVES:
        for level, index, value in frontier.append(leaf_hash(leaf)):
            assert (level, index) not in nodes
            nodes[level, index] = value
    assert root(70, lambda level, index: nodes[level, index]) == model_root(LEAVES)


@pytest.mark.parametrize(("size", "count"), [(1, 0), (3, 1), (4, 2)])
def test_a_frontier_needs_one_root_for_each_bit(size: int, count: int) -> None:
    with pytest.raises(ValueError):
        Frontier(size, [bytes(32)] * count)
