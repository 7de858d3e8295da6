# SPDX-License-Identifier: AGPL-3.0-or-later
"""Events at the receiving agency: ledger entry, event row and the status that is due to the sender.

The detail of the entry is that of `exchange.receipts.receipt.Event`, so the receipt is the entry itself with
its proof. Acts that must carry the agency's signature are signed before the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.writer import after_commit
from exchange.documents import records, schema
from exchange.documents.model import DocumentRef
from exchange.exchange import Exchange
from exchange.receipts.outcome import STATUS_EVENTS
from exchange.receipts.receipt import ACT_LABEL, Event, act_body
from mailserver.accounts import Agency
from mailserver.accounts.schema import next_number

SYSTEM = "hệ thống"
"""Who refuses what the checks on arrival refuse (R-REC-02)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event ready to be written: what happened to which document, signed when it is an act."""

    document_id: str
    event: Event
    act: str
    'Hex; "" when no act of a person (or of the system in the agency\'s name).'


def prepare(
    exchange: Exchange,
    document_id: str,
    status: str,
    *,
    packet_digest: str,
    sender: str,
    agency: Agency,
    by: str = "",
    reason: str = "",
    more: tuple[tuple[str, str], ...] = (),
) -> Prepared:
    """An event of ``agency`` for a status code; has the signer sign an act. Raises `Unavailable`."""
    told = [*more]
    told += [("by", by)] if by else []
    told += [("reason", reason[:1000])] if reason else []
    event = Event(
        STATUS_EVENTS[status], status, packet_digest, sender, agency.code, agency.code, tuple(sorted(told))
    )
    act = b""
    if event.personal:
        act = exchange.signer.sign_statement(agency.code, ACT_LABEL, act_body(document_id, event)).signature
    return Prepared(document_id, event, act.hex())


def write(
    conn: sa.Connection, exchange: Exchange, ref: DocumentRef, prepared: Prepared, partner: str
) -> None:
    """Record the event and let its status be due to ``partner`` ("": nobody to tell)."""
    event = prepared.event
    told = {**event.detail(), "act": prepared.act}
    number, _ = records.add_event(
        conn,
        exchange.seal,
        ref,
        event.kind,
        prepared.document_id,
        event.detail(),
        partner=event.issuer,
        status=event.status,
        told=told,
    )
    if partner:
        due(conn, exchange, ref, number, partner, event.status)


def due(
    conn: sa.Connection, exchange: Exchange, ref: DocumentRef, event: int, partner: str, code: str
) -> None:
    """The status of an event is to be sent to ``partner``, with others to it that come up meanwhile."""
    gather = int(exchange.settings.exchange.status_gather * 1_000_000)
    conn.execute(
        sa.insert(schema.status_due).values(
            agency=ref.agency,
            status=next_number(conn, ref.agency, "status"),
            document=ref.document,
            event=event,
            partner=partner,
            code=code,
            state="waiting",
            due_us=now_us() + gather,
        )
    )
    after_commit(conn, lambda: exchange.wake.publish("document", ref.id))
