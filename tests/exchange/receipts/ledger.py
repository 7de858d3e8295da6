# SPDX-License-Identifier: AGPL-3.0-or-later
"""A little log in memory that gives real proofs."""

from __future__ import annotations

from dataclasses import replace

from exchange.receipts.receipt import ACT_LABEL, Act, Event, Receipt, act_body
from exchange.signing.statement import statement_bytes
from policy.ledger.checkpoint import Checkpoint
from policy.ledger.checkpoint import sign as sign_checkpoint
from policy.ledger.leaf import FIRST_PREVIOUS, Leaf, canonical, commit
from policy.ledger.receipt import Proof
from policy.ledger.tree import inclusion_proof, leaf_hash, root, root_of_hashes
from tests.exchange.sealing.province import Agency, Province

NONCE = bytes(range(16))
AT_US = 1_795_000_000_000_000


def receipt(
    province: Province,
    event: Event,
    document: str = "H12.01,2026/01/05,12/TB-VP",
    *,
    by: Agency | None = None,
    at_us: int = AT_US,
    position: int = 5,
    size: int = 11,
) -> Receipt:
    """A receipt whose entry is number ``position`` of ``size``; ``by`` signs the act."""
    commitment = commit(NONCE, canonical(document, event.detail()))
    leaves: list[bytes] = []
    for index in range(size):
        previous = leaf_hash(leaves[-1]) if leaves else FIRST_PREVIOUS
        kind, inside = (event.kind, commitment) if index == position else ("sign-in.failed", bytes(32))
        leaves.append(Leaf(index, kind, at_us + index, previous, inside).encode())
    hashes = [leaf_hash(one) for one in leaves]

    def read(level: int, index: int) -> bytes:
        return root_of_hashes(hashes[index << level : (index + 1) << level])

    checkpoint = Checkpoint(province.log_key.name, size, root(size, read))
    note = sign_checkpoint(checkpoint, province.log_key, province.log.sign)
    proof = Proof(position, leaves[position], tuple(inclusion_proof(position, size, read)), note)
    made = Receipt(document, event, NONCE, proof, province.log_key.vkey, province.log_chain, None)
    if by is None:
        return made
    signature = by.sign(statement_bytes(ACT_LABEL, act_body(document, event)))
    return replace(made, act=Act(signature, by.chain))
