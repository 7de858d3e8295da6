# SPDX-License-Identifier: AGPL-3.0-or-later
"""Statuses on their way back: gathered for one sender, each with its receipt, sealed and queued.

A status waits until the ledger has sealed its entry, so that the receipt carries the proof; one that can't
be made stays due and never holds up another. A `250` from the other side is not evidence (DESIGN 4.12).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.documents import carrying, records, schema
from exchange.documents.model import Document, DocumentRef, Happened
from exchange.documents.packing import must_be_sendable, organ, seal_packet
from exchange.edxml.codes import write_date
from exchange.edxml.model import DocumentPacket, Organ, Staff, StatusPacket
from exchange.edxml.statuses import answer
from exchange.exchange import Exchange
from exchange.receiving.proving import receipt_of
from mailserver.accounts import Agency
from mailserver.store.blobs import Prepared
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

log = logging.getLogger("congvan.receiving")
_MOST = 200
_PAUSE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class _Ready:
    row: Any
    mail: Prepared
    digest: str
    packet: str
    document: Document


def send_due(exchange: Exchange) -> int:
    """Send the statuses that are due; returns how many. Raises `Unavailable` when the signer is down."""
    with exchange.database.reading() as conn:
        table = schema.status_due
        rows = conn.execute(
            sa.select(table)
            .where(table.c.state == "waiting", table.c.due_us <= now_us())
            .order_by(table.c.due_us, table.c.agency, table.c.partner, table.c.status)
            .limit(_MOST)
        ).all()
    groups: dict[tuple[int, str], list[Any]] = {}
    for row in rows:
        groups.setdefault((row.agency, row.partner), []).append(row)
    return sum(_send_group(exchange, number, code, waiting) for (number, code), waiting in groups.items())


def next_due_us(exchange: Exchange) -> int | None:
    """When the next status is due (µs UTC), None when none waits."""
    table = schema.status_due
    with exchange.database.reading() as conn:
        found = conn.execute(
            sa.select(sa.func.min(table.c.due_us)).where(table.c.state == "waiting")
        ).scalar()
    return None if found is None else int(found)


def _send_group(exchange: Exchange, number: int, partner: str, rows: list[Any]) -> int:
    try:
        return _send(exchange, exchange.agency_numbered(number), exchange.agency(partner), rows)
    except Unavailable:
        raise
    except Refused as problem:
        log.error("statuses of %d to %s wait: %s", number, partner, problem)
        for row in rows:
            _put_off(exchange, row)
        return 0


def _send(exchange: Exchange, agency: Agency, other: Agency, rows: Iterable[Any]) -> int:
    """All statuses of one agency to one sender: made one by one, queued in one transaction."""
    ready: list[_Ready] = []
    for row in rows:
        try:
            ready.append(_make(exchange, agency, other, row))
        except Unavailable as problem:
            if problem.code != "not-yet-sealed":
                raise
        except Refused as problem:
            log.error("status %s of document %d-%d waits: %s", row.code, row.agency, row.document, problem)
            _put_off(exchange, row)
    if not ready:
        return 0

    def job(conn: sa.Connection) -> None:
        for one in ready:
            _mark(conn, one.row, {"state": "sent"})
            carrying.queue(
                conn,
                exchange,
                one.mail,
                one.digest,
                agency.registry_address,
                [other.registry_address],
                agency.number,
            )
            detail: dict[str, JSON] = {
                "status": one.row.code,
                "from": agency.code,
                "to": other.code,
                "packet": one.packet,
            }
            record(conn, exchange.seal, "document.status-sent", one.document.ledger_subject, detail)

    exchange.database.write(job)
    return len(ready)


def _make(exchange: Exchange, agency: Agency, other: Agency, row: Any) -> _Ready:
    ref = DocumentRef(row.agency, row.document)
    with exchange.database.reading() as conn:
        document = records.get(conn, exchange.seal, ref)
        happened = next(one for one in records.events(conn, exchange.seal, ref) if one.event == row.event)
        receipt = receipt_of(exchange, conn, happened)
    status = _status(exchange, agency, document, happened, row.code)
    must_be_sendable(status)
    packed = seal_packet(exchange, status, agency, [other], name="status.edxml", receipts=(receipt,))
    mail = packed.built.mail
    return _Ready(
        row, carrying.prepared(exchange, mail), carrying.mail_digest(mail), packed.built.digest, document
    )


def _status(
    exchange: Exchange, agency: Agency, document: Document, happened: Happened, code: str
) -> StatusPacket:
    fields = document.fields
    number, _, notation = fields.number.partition("/")
    answered = DocumentPacket(
        sender=Organ(organ_id=fields.organ_code, name=fields.organ_name),
        code_number=number,
        code_notation=notation,
        promulgation_date=write_date(document.dated) if document.dated else "",
        document_id=fields.document_id,
    )
    by = happened.told.get("by", "")
    clerk = exchange.accounts.by_address(by) if "@" in by else None
    staff = Staff("Văn thư", clerk.name, clerk.address) if clerk is not None else None
    reason = happened.told.get("reason", "")
    return answer(answered, organ(agency), code, happened.at_us, reason, staff)


def _mark(conn: sa.Connection, row: Any, values: dict[str, object]) -> None:
    table = schema.status_due
    conn.execute(
        sa.update(table).where(table.c.agency == row.agency, table.c.status == row.status).values(**values)
    )


def _put_off(exchange: Exchange, row: Any) -> None:
    exchange.database.write(lambda conn: _mark(conn, row, {"due_us": now_us() + _PAUSE_US}))
