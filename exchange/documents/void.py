# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: numbered, sealing or sealed → void. A number that can't be finished stays in the register with its reason
and is never used again (R-NUM-13; DESIGN 4.16)."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import joint_rows, records
from exchange.documents import number as numbering
from exchange.documents.model import DocumentRef
from exchange.documents.states import MOVES, move_from
from exchange.documents.work import load
from exchange.exchange import Exchange
from exchange.registers import rows
from exchange.registers.rows import Entry, RowKey
from mailserver.accounts import Account
from policy.ledger.leaf import JSON
from policy.rights import relation, require


def void(exchange: Exchange, ref: DocumentRef, clerk: Account, reason: str, reason_en: str = "") -> None:
    """Void the number of a document that was not sent. Raises `Refused` without a reason, or after sending."""
    document = load(exchange, ref)
    require(clerk.role, "document.number", relation(clerk.agency_code, document.partner))
    move = move_from(document.state, "void-numbered", "void-sealing", "void-sealed")
    if document.year is None or document.sequence is None or document.serial is None or not document.dated:
        raise Refused("no-number", "Văn bản chưa được cấp số.", "The document has no number yet.")
    key = RowKey(ref.agency, "outgoing", document.year, document.sequence, document.serial)
    columns = numbering.columns_of(exchange, document, document.dated) | {"number": document.fields.number}
    fields = dataclasses.replace(document.fields, reason=reason[:1000], reason_en=reason_en[:1000])
    name = next(name for name, one in MOVES.items() if one == move)

    def job(conn: sa.Connection) -> None:
        rows.set_state(conn, exchange.seal, key, "void", Entry(columns, clerk.address, reason[:1000]))
        joint_rows.follow(conn, exchange, document, "void", clerk.address, reason=reason[:1000])
        records.advance(conn, exchange.seal, ref, name, fields)
        detail: dict[str, JSON] = {
            "number": document.fields.number,
            "row": key.name,
            "by": clerk.address,
            "reason": reason[:1000],
        }
        records.add_event(
            conn,
            exchange.seal,
            ref,
            move.entry,
            document.fields.document_id,
            detail,
            partner=document.partner,
        )

    exchange.database.write(job)
