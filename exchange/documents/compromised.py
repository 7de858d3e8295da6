# SPDX-License-Identifier: AGPL-3.0-or-later
"""A signing key was compromised: what hangs on it and was not sent yet is stopped.

What bears a signature of the old key and has a number becomes void (one that only waits for the seal is sealed
with the new key); without a number it goes back to its
drafter. Signatures begun for the old certificate are forgotten, and a person's sessions on the pages end.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import files, give_back, records, turns
from exchange.documents.model import Document
from exchange.documents.schema import document as document_table
from exchange.documents.void import void
from exchange.exchange import Exchange
from mailserver.accounts import page_sessions

_NUMBERED = ("numbered", "sealing", "sealed")
_VI = "Khóa ký bị lộ trước khi phát hành."
_EN = "A signing key was compromised before the document was sent."


def stop(exchange: Exchange, agency: str, person: str, by: str) -> dict[str, Any]:
    """Stop what hangs on the key of ``agency``'s seal or of ``person`` (one is given).

    Gives ids: ``voided`` (numbers), ``returned`` (drafts to be signed again), ``begun`` (only the begun signature
    was forgotten), and ``sessions``, how many were ended.
    """
    told: dict[str, Any] = {"voided": [], "returned": [], "begun": [], "sessions": 0}
    table = document_table
    query = sa.select(table).where(
        table.c.direction == "outgoing", table.c.state.in_((*turns.UNSIGNED, "signed", *_NUMBERED))
    )
    with exchange.database.reading() as conn:
        found = [records.read(exchange.seal, row) for row in conn.execute(query)]
        hangs = [(one, _signed(conn, one, agency, person)) for one in found]
    for document, signed in hangs:
        if signed is None:
            continue
        if document.state in _NUMBERED and signed and _void(exchange, document):
            told["voided"].append(document.id)
        elif signed and document.state not in _NUMBERED and _returned(exchange, document, by):
            told["returned"].append(document.id)
        elif document.state in turns.UNSIGNED:
            _forget(exchange, document)
            told["begun"].append(document.id)
    who = exchange.accounts.by_address(person) if person else None
    if who is not None:
        told["sessions"] = page_sessions.end_all(exchange.accounts, who)
    return told


def _signed(conn: sa.Connection, document: Document, agency: str, person: str) -> bool | None:
    """Whether the key signed it already; None when it has no part in it."""
    mine = [
        one
        for one in turns.listing(conn, document)
        if (one.by == person if person else one.kind == "seal" and one.code == agency)
    ]
    return any(not one.waits for one in mine) if mine else None


def _forget(exchange: Exchange, document: Document) -> None:
    exchange.database.write(lambda conn: files.forget_prepared(conn, document.ref))


def _void(exchange: Exchange, document: Document) -> bool:
    agency = exchange.agency_numbered(document.ref.agency)
    try:
        clerk = exchange.person(document.fields.clerk, agency, "clerk")
        void(exchange, document.ref, clerk, _VI, _EN)
    except Refused:
        return False
    return True


def _returned(exchange: Exchange, document: Document, by: str) -> bool:
    try:
        give_back.return_draft(exchange, document, by, _VI, _EN)
    except Refused:
        return False
    return True
