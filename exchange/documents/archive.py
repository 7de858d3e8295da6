# SPDX-License-Identifier: AGPL-3.0-or-later
"""Archive copies of sent documents (PAdES B-LTA): made on a copy, linked by digest, renewed before the stamp ends.

A copy is a file of role ``archive``; its row's event names the digest of the sent file. The worker makes one for
each sent document and a new one when the newest is older than `RENEW_DAYS`.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from cryptography import x509

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.documents import files, records
from exchange.documents.model import DocumentRef
from exchange.documents.schema import document as document_table
from exchange.documents.schema import document_file
from exchange.documents.work import load, take_up
from exchange.exchange import Exchange
from exchange.signing.pdf.archive import Renewed, judge_copy, renew
from exchange.trust.verdict import Verdict

log = logging.getLogger("congvan.documents")
RENEW_DAYS = 365
_AT_ONCE = 20
_DAY_US = 86_400_000_000
_SETTLED_US = _DAY_US
"""A new document's first copy is made the day after it was sent, outside the hours of work on it."""


def renewed(exchange: Exchange, ref: DocumentRef) -> tuple[Renewed, Verdict]:
    """A fresh archive copy of a sent (or accepted) document, kept, and the verdict on it.

    Raises `Refused` for a document that was not sent, `Unavailable` without signer or time-stamps.
    """
    document = load(exchange, ref)
    if document.state not in ("sent", "registered"):
        raise Refused(
            "not-sent",
            "Chỉ lập bản lưu trữ của văn bản đã phát hành hoặc đã tiếp nhận.",
            "Archive copies are made of documents that were sent or accepted.",
        )
    work = take_up(exchange, ref, "archive")
    with exchange.database.reading() as conn:
        kept = files.listing(conn, exchange.seal, ref)
    role = "issued" if document.direction == "outgoing" else "attachment"
    sent = next((one for one in kept if one.role == role and one.media_type == files.PDF), None)
    if sent is None:
        raise records.no_such_document(f"{ref.id}/{role}")
    copies = [one for one in kept if one.role == "archive"]
    data = exchange.files.read(work.key, copies[-1] if copies else sent)
    trust = exchange.trust
    known: list[x509.Certificate | None] = [
        trust.certificate_of_person(document.fields.signer) if document.fields.signer else None,
        trust.signing_certificate_of_agency(document.fields.organ_code),
        trust.timestamp_certificate(),
    ]
    found = [one for one in known if one is not None]
    found += [*trust.issuers_of(*found), *trust.anchors().roots]
    copy = renew(data, sent.size, found, trust.crls(), exchange.stamp)
    verdict = judge_copy(copy, trust.anchors())
    if not verdict.passed:
        raise Unavailable(
            "archive-not-sound",
            f"Bản lưu trữ chưa kiểm tra được ({verdict.sub_indication}); sẽ làm lại.",
            f"The archive copy can't be confirmed ({verdict.sub_indication}); it will be made again.",
        )
    written = exchange.files.write(ref.agency, work.key, sent.name, files.PDF, copy.data)

    def job(conn: sa.Connection) -> None:
        files.add(conn, exchange.seal, ref, "archive", written)
        records.add_event(
            conn,
            exchange.seal,
            ref,
            "document.archived",
            document.ledger_subject,
            {"original": copy.original, "copy": written.sha256, "renewal": len(copies) + 1},
            partner=document.partner,
        )

    exchange.database.write(job)
    return copy, verdict


def renew_due(exchange: Exchange) -> int:
    """Make and renew the copies that are due; returns how many. One that fails does not stop the others."""
    done = 0
    for ref in _due(exchange):
        try:
            renewed(exchange, ref)
            done += 1
        except Unavailable:
            return done
        except Refused as problem:
            log.warning("document %s could not be archived: %s", ref.id, problem.code)
    return done


def _due(exchange: Exchange) -> list[DocumentRef]:
    table, file, now = document_table, document_file, now_us()
    fresh = sa.exists().where(
        file.c.agency == table.c.agency,
        file.c.document == table.c.document,
        file.c.role == "archive",
        file.c.at_us > now - RENEW_DAYS * _DAY_US,
    )
    query = (
        sa.select(table.c.agency, table.c.document)
        .where(
            table.c.direction == "outgoing",
            table.c.state == "sent",
            table.c.updated_us < now - _SETTLED_US,
            sa.not_(fresh),
        )
        .limit(_AT_ONCE)
    )
    with exchange.database.reading() as conn:
        return [DocumentRef(row.agency, row.document) for row in conn.execute(query)]
