# SPDX-License-Identifier: AGPL-3.0-or-later
"""The clerk's acts on an incoming document: accept (03, with an arrival number) or refuse (02, with a reason).

ND30/2020 Art. 21, 22; QĐ28/2018 Art. 9. Both are signed by the agency and proved by the ledger.
"""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from config.clock import now_us, to_local
from config.refusal import Refused
from config.writer import after_commit
from exchange.documents import facts, files, records, schema
from exchange.documents.issuers import issuers
from exchange.documents.judged import verdict_of
from exchange.documents.model import Document, DocumentRef
from exchange.documents.states import MOVES, move_from
from exchange.documents.work import load, take_up
from exchange.edxml.read import read
from exchange.exchange import Exchange
from exchange.receiving import events, reports
from exchange.registers import rows
from exchange.registers.columns import complete
from exchange.registers.numbers import ARRIVAL
from mailserver.accounts import Account, Agency
from policy.rights import relation, require

REASON_LENGTH = 1000


def accept(exchange: Exchange, ref: DocumentRef, clerk: Account, note: str = "") -> str:
    """Register an arrived (or held) document; returns the arrival number.

    Checks completeness, integrity and authenticity once more before (R-REC-01). Raises `Refused`,
    `Unavailable`.
    """
    document = load(exchange, ref)
    agency = exchange.agency_numbered(ref.agency)
    require(clerk.role, "document.accept", relation(clerk.agency_code, agency.code))
    name = _move(document, "accept", "accept-held")
    _check_again(exchange, document, agency, clerk)
    prepared = events.prepare(
        exchange,
        document.fields.document_id,
        "03",
        packet_digest=document.fields.packet_digest,
        sender=document.fields.organ_code,
        agency=agency,
        by=clerk.address,
        reason=note,
    )

    def job(conn: sa.Connection) -> str:
        today = to_local(now_us()).date()
        columns = _columns(document, issuers(exchange, document.fields), note)
        key = rows.add_row(
            conn,
            exchange.seal,
            agency=ref.agency,
            register="incoming",
            sequence=ARRIVAL,
            dated=today,
            state="numbered",
            notation="",
            entry=rows.Entry(columns, clerk.address),
            document=ref.document,
        )
        number = f"{key.number:02d}"
        fields = dataclasses.replace(document.fields, arrival_number=number, clerk=clerk.address)
        records.advance(
            conn, exchange.seal, ref, name, fields, year=key.year, sequence=ARRIVAL, number=key.number
        )
        events.write(conn, exchange, ref, prepared, document.partner)
        after_commit(conn, lambda: exchange.wake.publish("document", ref.id))
        return number

    return exchange.database.write(job)


def refuse(exchange: Exchange, ref: DocumentRef, clerk: Account, reason: str) -> None:
    """Return a document to its sender with a reason (R-REC-05). Raises `Refused`, `Unavailable`."""
    document = load(exchange, ref)
    agency = exchange.agency_numbered(ref.agency)
    require(clerk.role, "document.refuse", relation(clerk.agency_code, agency.code))
    name = _move(document, "refuse", "refuse-held")
    if not reason.strip() or len(reason) > REASON_LENGTH:
        raise Refused(
            "reason-needed",
            f"Từ chối tiếp nhận phải có lý do (tối đa {REASON_LENGTH} ký tự).",
            f"A refusal needs a reason (at most {REASON_LENGTH} characters).",
            rule="R-REC-05",
        )
    fields = dataclasses.replace(document.fields, reason=reason, reason_en="", clerk=clerk.address)
    prepared = events.prepare(
        exchange,
        document.ledger_subject,
        "02",
        packet_digest=document.fields.packet_digest,
        sender=document.fields.organ_code,
        agency=agency,
        by=clerk.address,
        reason=reason,
    )
    answered = document.partner if document.fields.document_id else ""

    def job(conn: sa.Connection) -> None:
        records.advance(conn, exchange.seal, ref, name, fields)
        events.write(conn, exchange, ref, prepared, answered)
        after_commit(conn, lambda: exchange.wake.publish("document", ref.id))

    exchange.database.write(job)


def _move(document: Document, *names: str) -> str:
    """The name of the move among ``names`` that starts where the document stands."""
    move = move_from(document.state, *names)
    return next(name for name in names if MOVES[name] == move)


def _check_again(exchange: Exchange, document: Document, agency: Agency, clerk: Account) -> None:
    """The rules of receiving as of now, with the clerk as actor, over the newest kept report: nothing is judged anew.

    Files are compared with their digests when they are read (R-REC-01).
    """
    if not document.wrapped_key:
        raise Refused(
            "not-readable",
            "Gói tin này không mở hoặc không xác thực được nên không tiếp nhận được; hãy từ chối.",
            "This packet could not be opened or authenticated, so it can't be accepted; refuse it.",
            rule="R-REC-01",
        )
    work = take_up(exchange, document.ref, clerk.address)
    with exchange.database.reading() as conn:
        kept = files.listing(conn, exchange.seal, document.ref)
    edxml = [exchange.files.read(work.key, one) for one in kept if one.role == "edxml"]
    pdfs = [one for one in kept if one.role == "attachment" and one.media_type == files.PDF]
    if not edxml:
        raise Refused(
            "not-readable",
            "Nội dung không được lưu ở đây (dấu chỉ độ mật); liên hệ người phụ trách bảo mật.",
            "Its content is not kept here (mark of secrecy); ask the security officer.",
            rule="R-CON-04",
        )
    judged = [report for report, _ in reports.kept(exchange, document, work.key) if report.whole][-1:]
    verdicts = tuple(
        verdict for report in judged for _, verdict in report.layers if verdict.kind == "pdf"
    ) or tuple(verdict_of(exchange, exchange.files.read(work.key, one)) for one in pdfs)
    receiving = facts.Receiving(
        read(edxml[-1]).packet,
        len(edxml[-1]),
        verdicts,
        agency,
        sender_known=True,
        already=_registered(exchange, document),
        checked=True,
        clerk=clerk,
    )
    facts.ask(exchange, facts.of_arrival(receiving))


def _registered(exchange: Exchange, document: Document) -> bool:
    """Whether another document with this id from this sender is registered (R-REC-11)."""
    table = schema.document
    identity = records.identity_digest(exchange.seal, document.fields.document_id)
    with exchange.database.reading() as conn:
        found = conn.execute(
            sa.select(table.c.document).where(
                table.c.agency == document.ref.agency,
                table.c.direction == "incoming",
                table.c.state == "registered",
                table.c.partner == document.partner,
                table.c.identity_digest == identity,
                table.c.document != document.ref.document,
            )
        ).first()
    return found is not None


def _columns(document: Document, authors: list[str], note: str) -> dict[str, str]:
    """The legal columns of the incoming register (ND30/2020 App. IV.VI)."""
    fields = document.fields
    remark = "" if fields.official else "Để biết, tham khảo (không đủ chữ ký số)"
    return complete(
        "incoming",
        {
            "arrived_on": f"{to_local(fields.arrived_us):%d/%m/%Y}",
            "author": "; ".join(authors),
            "number": fields.number,
            "date": f"{document.dated:%d/%m/%Y}" if document.dated else "",
            "subject": f"{fields.kind}: {fields.subject}",
            "handler": "Văn thư",
            "note": "; ".join(one for one in (remark, note) if one),
        },
    )
