# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: signed → numbered. One short transaction: counter, register row, ledger entries (DESIGN 4.16).

The rules of issuing are asked before, as if the seal were already there, so that a number is not burned
for what could be known. The clerk's act on the page or command is also the approval of the seal.
"""

from __future__ import annotations

import dataclasses
from datetime import date

import sqlalchemy as sa

from config.clock import now_us, to_local, today_local
from exchange.documents import annexes, facts, judged, kinds, records
from exchange.documents.before_signing import agency_may_seal
from exchange.documents.issuers import joint_note
from exchange.documents.model import Document, Fields
from exchange.documents.states import MOVES, move_from
from exchange.documents.work import Work, content, load
from exchange.edxml.codes import dated_id, rule_id
from exchange.exchange import Exchange
from exchange.registers import numbers, rows
from exchange.registers.columns import complete
from mailserver.accounts import Account
from mailserver.accounts.schema import next_number
from policy.ledger.leaf import JSON
from policy.rights import relation, require


def number(exchange: Exchange, work: Work, clerk: Account) -> str:
    """Give the document its number and date; returns number and notation. Raises `Refused`.

    The date is today's in Vietnam, the day on which the body issues it.
    """
    document = load(exchange, work.ref)
    move_from(document.state, "number")
    require(clerk.role, "document.number", relation(clerk.agency_code, document.partner))
    kind = kinds.kind_named(document.fields.kind)
    signed, data = content(exchange, work, "signed")
    attached = annexes.listing(exchange, work.ref)
    judged.refuse_compromised(exchange, data)
    agency_may_seal(exchange, document.fields.organ_code)
    _ask_before(exchange, work, document, kind, clerk, data)

    def job(conn: sa.Connection) -> str:
        now = now_us()
        dated = to_local(now).date()
        sequence = numbers.sequence_of(conn, work.ref.agency, dated.year, kind)
        key = rows.add_row(
            conn,
            exchange.seal,
            agency=work.ref.agency,
            register="outgoing",
            sequence=sequence,
            dated=dated,
            state="numbered",
            notation=document.fields.notation,
            entry=rows.Entry(columns_of(exchange, document, dated), clerk.address),
            document=work.ref.document,
        )
        fields = _numbered(conn, document, key, dated, clerk)
        records.advance(
            conn,
            exchange.seal,
            work.ref,
            "number",
            fields,
            dated=dated,
            year=key.year,
            sequence=sequence,
            number=key.number,
        )
        if exchange.approval_of_seal(fields.organ_code) != "passkey":  # which the clerk is asked for next
            for digest in (signed.sha256, *(one.sha256 for one in attached)):
                records.add_approval(conn, exchange.seal, work.ref, "seal", clerk.address, digest, now)
        detail: dict[str, JSON] = {"number": fields.number, "row": key.name, "by": clerk.address}
        records.add_event(
            conn,
            exchange.seal,
            work.ref,
            MOVES["number"].entry,
            fields.document_id,
            detail | {"document": work.ref.id},
            partner=document.partner,
            at_us=now,
        )
        return fields.number

    return exchange.database.write(job)


def columns_of(exchange: Exchange, document: Document, dated: date) -> dict[str, str]:
    """The legal columns of the outgoing register (ND30/2020 App. IV.I), without the number's own."""
    fields = document.fields
    names = [one.name for code in fields.to_codes if (one := exchange.accounts.agency(code)) is not None]
    return complete(
        "outgoing",
        {
            "date": f"{dated:%d/%m/%Y}",
            "subject": f"{fields.kind}: {fields.subject}",
            "signer": f"{fields.signer_name} ({fields.signer_title})",
            "recipients": "; ".join(names),
            "file_copy": f"Lưu: VT{f', {fields.unit}' if fields.unit else ''}",
            "copies": "Bản điện tử",
            "note": joint_note(exchange, fields),
        },
    )


def _numbered(
    conn: sa.Connection, document: Document, key: rows.RowKey, dated: date, clerk: Account
) -> Fields:
    """The fields that follow from the number."""
    shown = kinds.shown(key.number, document.fields.notation)
    code = document.fields.organ_code
    running = next_number(conn, key.agency, f"issued-{key.year}")
    return dataclasses.replace(
        document.fields,
        number=shown,
        document_id=dated_id(code, dated, shown),
        rule_id=rule_id(code, key.year, running),
        clerk=clerk.address,
    )


def _ask_before(
    exchange: Exchange, work: Work, document: Document, kind: kinds.Kind, clerk: Account, signed: bytes
) -> None:
    today = today_local()
    with exchange.database.reading() as conn:
        sequence = numbers.sequence_of(conn, work.ref.agency, today.year, kind)
        coming, last = numbers.coming(conn, work.ref.agency, "outgoing", sequence, today.year)
    agency = exchange.agency_numbered(work.ref.agency)
    issuing = judged.issuing(
        exchange,
        document,
        clerk,
        judged.signatures_of(exchange, signed),
        number=kinds.shown_number(coming),
        dated=today,
        row_state="numbered",
    )
    seal = facts.foreseen_seal(agency)
    facts.ask(
        exchange,
        facts.of_issue(dataclasses.replace(issuing, signatures=(*issuing.signatures, seal), last_date=last)),
    )
