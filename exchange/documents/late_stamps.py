# SPDX-License-Identifier: AGPL-3.0-or-later
"""Late time-stamps: a document that left without one gets a token over its packet digest, for the evidence.

The sent PDF never changes (DESIGN 4.13; R-SIG-15). The worker asks again every minute until somebody answers.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa

from config.refusal import Refused, Unavailable
from exchange.documents import files, records
from exchange.documents.model import Document
from exchange.documents.schema import document as document_table
from exchange.documents.schema import document_event, document_file
from exchange.documents.sealed import NOT_STAMPED
from exchange.documents.work import take_up
from exchange.exchange import Exchange

log = logging.getLogger("congvan.documents")
_AT_ONCE = 100
REPLY = "application/timestamp-reply"


def stamp_late(exchange: Exchange) -> int:
    """Stamp what was sent without a time-stamp; returns how many. An authority that is down is no error."""
    done = 0
    for document in _unstamped(exchange):
        try:
            token = exchange.stamp(bytes.fromhex(document.fields.packet_digest))
        except Unavailable:
            return done
        except Refused as problem:
            log.warning("document %s could not be stamped: %s", document.id, problem.code)
            continue
        work = take_up(exchange, document.ref, "late-stamp")
        written = exchange.files.write(document.ref.agency, work.key, "packet.tsr", REPLY, token)

        def job(conn: sa.Connection, document: Document = document, written: files.Written = written) -> None:
            files.add(conn, exchange.seal, document.ref, "stamp", written)
            records.add_event(
                conn,
                exchange.seal,
                document.ref,
                "document.stamped-late",
                document.ledger_subject,
                {"packet": document.fields.packet_digest, "sha256": written.sha256},
                partner=document.partner,
            )

        exchange.database.write(job)
        done += 1
    return done


def _unstamped(exchange: Exchange) -> list[Document]:
    """Sent documents whose seal says that it has no time-stamp, without a late one yet."""
    table, event, file = document_table, document_event, document_file
    late = sa.exists().where(
        file.c.agency == table.c.agency, file.c.document == table.c.document, file.c.role == "stamp"
    )
    wanted = sa.exists().where(
        event.c.agency == table.c.agency,
        event.c.document == table.c.document,
        event.c.kind == "document.sealed",
        event.c.status == NOT_STAMPED,
    )
    query = (
        sa.select(table)
        .where(table.c.direction == "outgoing", table.c.state == "sent", wanted, sa.not_(late))
        .limit(_AT_ONCE)
    )
    with exchange.database.reading() as conn:
        return [records.read(exchange.seal, row) for row in conn.execute(query)]
