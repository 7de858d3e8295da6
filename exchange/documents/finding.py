# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document by what people know of it: internal id, edXML DocumentId, or number and notation."""

from __future__ import annotations

import re

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import records
from exchange.documents.model import Document, DocumentRef
from exchange.documents.schema import document as table
from exchange.exchange import Exchange
from mailserver.accounts import Agency

_ID = re.compile(r"(\d{1,9})-(\d{1,15})")


def find(exchange: Exchange, name: str, agency: Agency | None = None) -> Document:
    """The one document called ``name`` (of ``agency``), the sender's before a receiver's.

    Raises `Refused`: ``no-such-document``, ``ambiguous-document`` (with the ids to choose from).
    """
    if match := _ID.fullmatch(name.strip()):
        ref = DocumentRef(int(match[1]), int(match[2]))
        with exchange.database.reading() as conn:
            found = records.get(conn, exchange.seal, ref)
        if agency is None or agency.number == ref.agency:
            return found
        raise records.no_such_document(name)
    matching = _named(exchange, name.strip(), agency)
    outgoing = [one for one in matching if one.direction == "outgoing"]
    chosen = outgoing or matching
    if not chosen:
        raise records.no_such_document(name)
    if len(chosen) > 1:
        ids = ", ".join(f"{one.id} ({one.fields.document_id})" for one in chosen[:10])
        raise Refused(
            "ambiguous-document",
            f"Có nhiều văn bản “{name[:60]}”. Nêu rõ một trong: {ids}.",
            f"There are several documents “{name[:60]}”. Name one of: {ids}.",
        )
    return chosen[0]


def incoming(exchange: Exchange, name: str, agency: Agency) -> Document | None:
    """The document ``name`` as it arrived at ``agency``; None while it has not.

    ``name`` may also be the internal id of the sender's own document. The newest counts, one that waits
    for the clerk before one that is done with.
    """
    match = _ID.fullmatch(name.strip())
    if match:
        ref = DocumentRef(int(match[1]), int(match[2]))
        with exchange.database.reading() as conn:
            found = records.get(conn, exchange.seal, ref)
        if found.direction == "incoming" and ref.agency == agency.number:
            return found
        name = found.fields.document_id or name
    matching = [one for one in _named(exchange, name.strip(), agency) if one.direction == "incoming"]
    matching.sort(key=lambda one: (one.state in ("arrived", "held"), one.created_us))
    return matching[-1] if matching else None


def sent_document(exchange: Exchange, agency: Agency, document_id: str) -> Document | None:
    """The document that ``agency`` sent under this DocumentId."""
    for one in _named(exchange, document_id, agency):
        if one.direction == "outgoing" and one.state == "sent" and one.fields.document_id == document_id:
            return one
    return None


def _named(exchange: Exchange, name: str, agency: Agency | None) -> list[Document]:
    seal = exchange.seal
    query = sa.select(table).where(
        sa.or_(
            table.c.identity_digest == records.identity_digest(seal, name),
            table.c.number_digest == records.number_digest(seal, name),
        )
    )
    if agency is not None:
        query = query.where(table.c.agency == agency.number)
    with exchange.database.reading() as conn:
        found = [
            records.read(seal, row)
            for row in conn.execute(query.order_by(table.c.agency, table.c.document).limit(200))
        ]
    exact = [one for one in found if one.fields.document_id == name]
    return exact or found
