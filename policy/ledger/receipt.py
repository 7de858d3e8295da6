# SPDX-License-Identifier: AGPL-3.0-or-later
"""The proof that one entry stands in a log: leaf, inclusion proof and signed checkpoint (as in IETF SCITT).

Pure and offline: exchange/receipts and `congvan verify` use it with nothing but the file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy.ledger import checkpoint as notes
from policy.ledger.checkpoint import Checkpoint, CheckpointWrong, Key
from policy.ledger.leaf import JSON, MAX_LEAF, Leaf, canonical, commit, decode
from policy.ledger.tree import ProofWrong, check_inclusion, leaf_hash

MAX_PROOF = 64


class ReceiptWrong(Exception):
    """The proof does not hold; the text says where."""


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry, its inclusion proof and the signed checkpoint it leads to."""

    index: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def as_json(self) -> dict[str, JSON]:
        """For receipts and the command line: leaf and checkpoint as text, hashes in base64."""
        return {
            "index": self.index,
            "leaf": self.leaf.decode("ascii"),
            "proof": [base64.b64encode(one).decode("ascii") for one in self.hashes],
            "checkpoint": self.checkpoint.decode("utf-8"),
        }


@dataclass(frozen=True, slots=True)
class Proved:
    """What a good proof says."""

    leaf: Leaf
    checkpoint: Checkpoint


def from_json(value: Mapping[str, Any]) -> Proof:
    """The inverse of `Proof.as_json`. Raises `ReceiptWrong` on anything else."""
    index, leaf = value.get("index"), value.get("leaf")
    proof, note = value.get("proof"), value.get("checkpoint")
    if type(index) is not int or not isinstance(leaf, str) or not isinstance(note, str):
        raise ReceiptWrong("index, leaf or checkpoint is missing")
    if not isinstance(proof, list) or len(proof) > MAX_PROOF or not all(isinstance(p, str) for p in proof):
        raise ReceiptWrong("the proof is not a list of at most 64 hashes")
    if len(leaf) > MAX_LEAF or len(note) > notes.MAX_TEXT:
        raise ReceiptWrong("leaf or checkpoint is too long")
    try:
        hashes = tuple(base64.b64decode(one, validate=True) for one in proof)
        return Proof(index, leaf.encode("ascii"), hashes, note.encode("utf-8"))
    except (binascii.Error, ValueError):
        raise ReceiptWrong("a hash is not base64, or a text is not in its form") from None


def verify_inclusion(leaf: bytes, index: int, size: int, proof: tuple[bytes, ...], root: bytes) -> None:
    """The entry `leaf` is number `index` in the log of `size` with this root. Raises `ReceiptWrong`."""
    try:
        check_inclusion(leaf_hash(leaf), index, size, proof, root)
    except ProofWrong as problem:
        raise ReceiptWrong(str(problem)) from None


def verify(proof: Proof, key: Key) -> Proved:
    """Check leaf, proof and the signature of `key` on the checkpoint. Raises `ReceiptWrong`."""
    try:
        state = notes.read_signed(proof.checkpoint, key)
    except CheckpointWrong as problem:
        raise ReceiptWrong(f"checkpoint: {problem}") from None
    try:
        leaf = decode(proof.leaf)
    except ValueError as problem:
        raise ReceiptWrong(f"entry: {problem}") from None
    if leaf.index != proof.index:
        raise ReceiptWrong(f"the entry says that it is number {leaf.index}, not {proof.index}")
    verify_inclusion(proof.leaf, proof.index, state.size, proof.hashes, state.root)
    return Proved(leaf, state)


def verify_disclosure(leaf: Leaf, nonce: bytes, subject: str, detail: Mapping[str, JSON]) -> None:
    """The commitment in `leaf` is to this subject and detail. Raises `ReceiptWrong`."""
    try:
        same = commit(nonce, canonical(subject, detail)) == leaf.commitment
    except ValueError as problem:
        raise ReceiptWrong(f"detail: {problem}") from None
    if not same:
        raise ReceiptWrong("the detail is not what the entry was made for")
