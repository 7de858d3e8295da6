# SPDX-License-Identifier: AGPL-3.0-or-later
"""Move: drafted … signed → returned. Whoever reviews or signs gives a draft back (Trả lại) with a reason.

The drafter submits it again, with a new PDF or the same: then everybody's turn begins anew, and signatures on
the returned text are on no file that can be issued.
"""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import files, first_page, records, turns
from exchange.documents.model import Document, DocumentRef
from exchange.documents.states import MOVES, WrongState, name_from
from exchange.documents.work import load, take_up
from exchange.exchange import Exchange
from exchange.signing.pdf.draft import open_draft
from mailserver.accounts import Account
from policy.ledger.leaf import JSON
from policy.rights import may, relation, require

_FROM = ("return-drafted", "return-approved", "return-signing", "return-signed")


def may_give_back(document: Document, person: Account) -> bool:
    """Whether ``person`` may give it back: whoever initials or signs it, and its agency's clerk."""
    fields = document.fields
    if document.direction != "outgoing" or document.state not in (*turns.UNSIGNED, "signed"):
        return False
    if person.address in (*fields.initials, fields.signer, *fields.co_signers):
        return True
    return may(person.role, "document.issue", relation(person.agency_code, document.partner))


def give_back(exchange: Exchange, ref: DocumentRef, person: Account, reason: str) -> None:
    """Return a draft that has no number yet. Raises `Refused` without a reason, or when it is not theirs."""
    document = load(exchange, ref)
    if document.state not in (*turns.UNSIGNED, "signed"):
        raise WrongState(document.state)
    if not may_give_back(document, person):
        raise Refused(
            "forbidden",
            "Chỉ người ký nháy, người ký và văn thư của cơ quan trả lại dự thảo.",
            "Only those who initial or sign it, and the agency's clerk, give a draft back.",
        )
    if not reason.strip():
        raise Refused(
            "reason-needed",
            "Nêu lý do trả lại để người soạn biết cần sửa gì.",
            "Say why it is given back, so that the drafter knows what to change.",
        )
    return_draft(exchange, document, person.address, reason.strip()[:1000])


def return_draft(exchange: Exchange, document: Document, by: str, reason: str, reason_en: str = "") -> None:
    """Make the move for ``by`` (a person, or the system on a compromised key). Raises `Refused`."""
    ref = document.ref
    fields = dataclasses.replace(document.fields, reason=reason, reason_en=reason_en)
    detail: dict[str, JSON] = {"by": by, "reason": reason}

    def job(conn: sa.Connection) -> None:
        records.lock(conn, ref)
        name = name_from(records.get(conn, exchange.seal, ref).state, *_FROM)
        records.advance(conn, exchange.seal, ref, name, fields)
        files.forget_prepared(conn, ref)
        records.add_event(
            conn, exchange.seal, ref, MOVES[name].entry, ref.subject, detail, partner=document.partner
        )

    exchange.database.write(job)


def may_submit_again(document: Document, person: Account) -> bool:
    """Whether ``person`` may submit a returned draft again: its drafter, and its agency's clerk."""
    own = person.address in (document.fields.drafter, document.fields.clerk)
    related = relation(person.agency_code, document.partner, own=own)
    return (
        document.state == "returned"
        and (own or person.role == "clerk")
        and may(person.role, "document.draft", related)
    )


def submit_again(exchange: Exchange, ref: DocumentRef, person: Account, pdf: bytes = b"") -> None:
    """A returned draft goes to its signers again, with the PDF given or the one it had. Raises `Refused`."""
    document = load(exchange, ref)
    if document.state != "returned":
        raise WrongState(document.state)
    if not may_submit_again(document, person):
        require(person.role, "document.draft", relation(person.agency_code, document.partner))
        raise Refused("forbidden", "Chỉ người soạn thảo trình lại.", "Only the drafter submits it again.")
    work = take_up(exchange, ref, person.address)
    with exchange.database.reading() as conn:
        draft = files.newest(conn, exchange.seal, ref, "draft")
    data = pdf or exchange.files.read(work.key, draft)
    pages, _ = first_page.look(open_draft(data))
    written = exchange.files.write(ref.agency, work.key, draft.name, files.PDF, data)
    fields = dataclasses.replace(
        document.fields, reason="", reason_en="", pages=pages, places="" if pdf else document.fields.places
    )
    detail: dict[str, JSON] = {"by": person.address, "sha256": written.sha256, "again": "yes"}

    def job(conn: sa.Connection) -> None:
        records.advance(conn, exchange.seal, ref, "submit-again", fields)
        turns.plan(conn, exchange.seal, ref, fields)
        files.add(conn, exchange.seal, ref, "draft", written)
        records.add_event(
            conn,
            exchange.seal,
            ref,
            MOVES["submit-again"].entry,
            ref.subject,
            detail,
            partner=document.partner,
        )

    exchange.database.write(job)
