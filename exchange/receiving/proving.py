# SPDX-License-Identifier: AGPL-3.0-or-later
"""Receipts made from our own ledger: entry, proof, newest signed checkpoint, the agency's signature on an act."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from cryptography import x509

from config.refusal import Unavailable
from exchange.documents.model import Happened
from exchange.documents.packing import signing_chain
from exchange.exchange import Exchange
from exchange.receipts.log_key import log_key_of
from exchange.receipts.receipt import Act, Event, Receipt, file_name, write_receipt
from policy.ledger.checkpoint import Key
from policy.ledger.entries import PendingId, disclose, index_of
from policy.ledger.integrate import prove
from policy.ledger.succession import only_by

_NAMES = ("event", "status", "packet", "from", "to", "issuer")


def receipt_of(exchange: Exchange, conn: sa.Connection, happened: Happened) -> tuple[str, bytes]:
    """(file name, bytes) of the receipt of one of our own events.

    Raises `Unavailable` while the ledger has not sealed the entry (about a second).
    """
    index = None if happened.detail is None else index_of(conn, PendingId(happened.detail))
    if index is None:
        raise Unavailable(
            "not-yet-sealed",
            "Mục này chưa được niêm phong trong sổ nhật ký, hãy thử lại sau vài giây.",
            "The ledger has not sealed this entry yet; try again in a few seconds.",
        )
    proof = prove(conn, index)
    key = exchange.ledger_keys.signer_of(proof.checkpoint)
    opened = disclose(conn, exchange.seal, index)
    detail = opened.detail
    more = tuple(sorted((name, str(text)) for name, text in detail.items() if name not in _NAMES))
    told = {name: str(detail[name]) for name in _NAMES}
    event = Event(
        told["event"], told["status"], told["packet"], told["from"], told["to"], told["issuer"], more
    )
    act = None
    if signature := happened.told.get("act", ""):
        act = Act(bytes.fromhex(signature), signing_chain(exchange, event.issuer))
    receipt = Receipt(
        opened.subject,
        event,
        opened.nonce,
        replace(proof, checkpoint=only_by(proof.checkpoint, key)),
        key.vkey,
        _certificates(exchange, key),
        act,
    )
    return file_name(event, index), write_receipt(receipt)


def _certificates(exchange: Exchange, key: Key) -> tuple[x509.Certificate, ...]:
    """The certificate of one of our ledger's keys and its issuer; none when it was not issued."""
    return next((one for one in exchange.trust.ledger_chains() if log_key_of(one[0]) == key), ())
