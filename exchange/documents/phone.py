# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person signs or initials with a passkey (DESIGN 4.15): statements to say yes to, one gesture, the signatures.

The signer checks the passkey's approval and signs; approval and signature are then recorded in one transaction.
What is interrupted before that leaves nothing; the same approval may be sent again while it lives (5 minutes),
after that a new one is asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from config.clock import now_us
from config.refusal import Refused
from exchange.documents import said_yes
from exchange.documents.model import DocumentRef
from exchange.documents.presented import last_read, not_read, turn_of
from exchange.documents.said_yes import Outcome, Yes
from exchange.exchange import Exchange
from exchange.signing.phone.approval import Approval, Assertion, Statement, approvals
from mailserver.accounts import Account


def statement(exchange: Exchange, ref: DocumentRef, person: Account, digest: str, shown: str) -> Statement:
    """What ``person`` is asked to say yes to. Raises `Refused` for a document that was not opened and read."""
    document, turn, _ = turn_of(exchange, ref, person)
    if last_read(exchange, ref, person) is None:
        raise not_read(document)
    told = {"purpose": turn.kind, "signer": person.address, "document": digest, "shown": shown}
    return Statement.read(told | {"at": now_us(), "id": secrets.token_hex(16)})


def sign_all(
    exchange: Exchange,
    person: Account,
    chosen: Sequence[tuple[DocumentRef, Statement]],
    assertion: Assertion,
) -> list[Outcome]:
    """One gesture: each document on its own; a failure of one does not stop the others."""
    proofs = approvals([one for _, one in chosen], assertion)
    done = []
    for (ref, _), proof in zip(chosen, proofs, strict=True):
        try:
            sign(exchange, ref, person, proof)
            done.append(Outcome(ref.id, None))
        except Refused as problem:
            done.append(Outcome(ref.id, problem))
    return done


def sign(exchange: Exchange, ref: DocumentRef, person: Account, proof: Approval) -> None:
    """Sign one document with the approval. Raises `Refused`, `Unavailable`.

    Repeatable with the same approval: what it signed already stays signed once, what was interrupted is signed now.
    """
    said = proof.statement
    yes = Yes(said.id, said.at, said.document, said.shown, "passkey", proof.as_json())
    if not said_yes.recorded(exchange, ref, person, yes):
        said_yes.sign(exchange, ref, person, lambda _document, _turn: yes)
