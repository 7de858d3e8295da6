# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the registers of jointly issuing agencies say of a document, and how those rows follow it."""

from __future__ import annotations

import sqlalchemy as sa

from exchange.documents import number as numbering
from exchange.documents.model import Document
from exchange.exchange import Exchange
from exchange.registers import joint
from exchange.registers.rows import Entry


def joint_columns(exchange: Exchange, document: Document) -> dict[str, str]:
    """The legal columns at the agencies that issue ``document`` jointly, with the issuing agency's number."""
    fields = document.fields
    if document.dated is None:
        raise AssertionError("numbered before it is sealed")
    columns = numbering.columns_of(exchange, document, document.dated)
    return columns | {"number": fields.number, "note": f"Văn bản liên tịch; số của {fields.organ_name}"}


def follow(
    conn: sa.Connection,
    exchange: Exchange,
    document: Document,
    state: str,
    actor: str,
    *,
    sent_on: str = "",
    reason: str = "",
) -> None:
    """Move the rows at the other agencies with the document, in the caller's transaction: ``issued`` or ``void``."""
    codes = document.fields.joint_codes
    if not codes or document.dated is None:
        return
    others = tuple(exchange.agency(code).number for code in codes)
    entry = Entry(joint_columns(exchange, document) | {"sent_on": sent_on}, actor, reason)
    joint.follow(conn, exchange.seal, others, document.ref.agency, document.ref.document, state, entry)
