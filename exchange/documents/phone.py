# SPDX-License-Identifier: AGPL-3.0-or-later
"""A leader reads and signs with a passkey (DESIGN 4.15): show the very file, take the yes, sign.

`present` prepares the file with its signature begun, so the digest that will be signed is known and the pages
shown are those of the file that becomes the signed one. `sign` has the signer check the passkey's approval
and sign; approval and signature are then recorded in one transaction. What is interrupted before that leaves
nothing; the same approval may be sent again while it lives (5 minutes), after that a new one is asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from exchange.documents import files, marks, records
from exchange.documents.model import Document, DocumentRef, StoredFile
from exchange.documents.places import layout_of
from exchange.documents.states import MOVES, wrong_state
from exchange.documents.work import Work, content, load
from exchange.exchange import Exchange
from exchange.signing.pdf.layout import PERSON
from exchange.signing.pdf.prepare import prepare
from exchange.signing.pdf.render import render
from exchange.signing.pdf.sign import Begun, begin_as_person, begun_before, finish
from exchange.signing.phone.approval import Approval, Assertion, Statement, approvals, pages_digest
from exchange.signing.protocol import PersonApproval
from mailserver.accounts import Account
from policy.ledger.leaf import JSON
from policy.rights import relation, require

_AGAIN_US = 10 * 60 * 1_000_000
_READ_US = 24 * 60 * 60 * 1_000_000
"""A document counts as read for a gesture when it was opened within a day."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What is shown: ``digest`` (hex) is what a signature will cover, ``pages`` are PNGs."""

    document: Document
    digest: str
    shown: str
    pages: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document of a gesture: ``problem`` is None when it was signed."""

    id: str
    problem: Refused | None


def waits_for(document: Document, person: Account) -> bool:
    """Whether the document waits for this person's signature."""
    return (
        document.direction == "outgoing"
        and document.state in ("drafted", "approved")
        and document.fields.signer == person.address
    )


def present(exchange: Exchange, ref: DocumentRef, person: Account) -> Presented:
    """The pages of the file that ``person`` is to sign; recorded as opened. Raises `Refused`, `Unavailable`."""
    document = _waiting(exchange, ref, person)
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "open", person.address)
    begun = _begun(exchange, Work(ref, opened.key), document)
    pages = render(begun.data)
    _record_opened(exchange, document, person, opened.use.record)
    return Presented(document, begun.digest.hex(), pages_digest(pages), pages)


def statement(exchange: Exchange, ref: DocumentRef, person: Account, digest: str, shown: str) -> Statement:
    """What ``person`` is asked to say yes to. Raises `Refused` for a document that was not opened and read."""
    document = _waiting(exchange, ref, person)
    since = now_us() - _READ_US
    with exchange.database.reading() as conn:
        happened = records.events(conn, exchange.seal, ref)
    read = any(
        one.kind == "document.opened" and one.at_us > since and one.told.get("by") == person.address
        for one in happened
    )
    if not read:
        raise Refused(
            "not-read",
            f"Chưa mở xem “{document.fields.subject[:80]}”. Mở xem từng văn bản trước khi ký.",
            f"“{document.fields.subject[:80]}” was not opened yet. Open each document before signing.",
        )
    told = {"purpose": "sign", "signer": person.address, "document": digest, "shown": shown}
    return Statement.read(told | {"at": now_us(), "id": secrets.token_hex(16)})


def sign_all(
    exchange: Exchange,
    person: Account,
    chosen: Sequence[tuple[DocumentRef, Statement]],
    assertion: Assertion,
) -> list[Outcome]:
    """One gesture: each document on its own; a failure of one does not stop the others."""
    proofs = approvals([one for _, one in chosen], assertion)
    done = []
    for (ref, _), proof in zip(chosen, proofs, strict=True):
        try:
            sign(exchange, ref, person, proof)
            done.append(Outcome(ref.id, None))
        except Refused as problem:
            done.append(Outcome(ref.id, problem))
    return done


def sign(exchange: Exchange, ref: DocumentRef, person: Account, proof: Approval) -> None:
    """Sign one document with the approval; repeatable with the same approval. Raises `Refused`, `Unavailable`."""
    document = _waiting(exchange, ref, person)
    said = proof.statement
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "receive", person.address)
    work = Work(ref, opened.key)
    draft, _ = content(exchange, work, "draft")
    begun = _begun(exchange, work, document)
    if said.document != begun.digest.hex() or said.shown != pages_digest(render(begun.data)):
        raise Refused(
            "shown-differs",
            "Văn bản đã đổi từ lúc mở xem. Chưa ký gì; hãy mở xem lại.",
            "The document changed since it was opened. Nothing was signed; open it again.",
        )
    yes = PersonApproval(said.id, person.address, said.document, said.at, "passkey", "sign", proof.as_json())
    signed = exchange.signer.sign_person(person.address, yes, begun.digest, begun.signed_attrs)
    data, stamped = finish(begun, signed.signature, exchange.stamp)
    written = exchange.files.write(ref.agency, work.key, draft.name, files.PDF, data)
    detail: dict[str, JSON] = {
        "by": person.address,
        "sha256": written.sha256,
        "draft": draft.sha256,
        "mode": "passkey",
        "approval": said.id,
        "stamped": "yes" if stamped else "no",
        "signer_record": signed.use.record,
    }

    def job(conn: sa.Connection) -> None:
        if records.get(conn, exchange.seal, ref).state == "drafted":
            records.advance(conn, exchange.seal, ref, "approve")
        _record_approval(conn, exchange, document, person, draft, proof)
        records.advance(conn, exchange.seal, ref, "sign")
        files.add(conn, exchange.seal, ref, "signed", written)
        entry = MOVES["sign"].entry
        records.add_event(conn, exchange.seal, ref, entry, ref.subject, detail, partner=document.partner)

    exchange.database.write(job)


def _record_approval(
    conn: sa.Connection,
    exchange: Exchange,
    document: Document,
    person: Account,
    draft: StoredFile,
    proof: Approval,
) -> None:
    """The person's checks of content and form and the yes itself, with the passkey's proof."""
    said = proof.statement
    acts = (
        ("content", "document.content-checked"),
        ("form", "document.form-checked"),
        ("text", MOVES["approve"].entry),
    )
    for kind, entry in acts:
        records.add_approval(
            conn,
            exchange.seal,
            document.ref,
            kind,
            person.address,
            draft.sha256,
            said.at,
            mode="passkey",
            proof=proof.as_json() if kind == "text" else "",
        )
        detail: dict[str, JSON] = {
            "by": person.address,
            "declared_by": person.address,
            "mode": "passkey",
            "sha256": draft.sha256,
            "approval": said.id,
            "shown": said.shown,
        }
        records.add_event(
            conn, exchange.seal, document.ref, entry, document.ref.subject, detail, partner=document.partner
        )


def _begun(exchange: Exchange, work: Work, document: Document) -> Begun:
    """The file with its signature begun: the one kept, or a new one for this draft."""
    signer = document.fields.signer
    draft, data = content(exchange, work, "draft")
    with exchange.database.reading() as conn:
        kept = [one for one in files.listing(conn, exchange.seal, work.ref) if one.role == "prepared"]
    if kept and kept[-1].file > draft.file:
        return begun_before(exchange.files.read(work.key, kept[-1]), PERSON, exchange.trust, signer)
    mark = marks.hand(exchange, signer, document.fields.signer_name)
    prepared = prepare(data, layout_of(exchange, document, data))
    begun = begin_as_person(prepared, exchange.trust, signer, mark)
    written = exchange.files.write(work.ref.agency, work.key, draft.name, files.PDF, begun.data)
    exchange.database.write(lambda conn: files.add(conn, exchange.seal, work.ref, "prepared", written))
    return begun


def _waiting(exchange: Exchange, ref: DocumentRef, person: Account) -> Document:
    document = load(exchange, ref)
    require(person.role, "document.sign", relation(person.agency_code, document.partner))
    if document.fields.signer != person.address:
        raise Refused(
            "not-the-signer",
            "Văn bản này không trình người này ký.",
            "This document was not submitted to this person for signature.",
        )
    if not waits_for(document, person):
        raise wrong_state(document.state)
    return document


def _record_opened(exchange: Exchange, document: Document, person: Account, record: str) -> None:
    """Once in ten minutes."""
    since = now_us() - _AGAIN_US
    with exchange.database.reading() as conn:
        happened = records.events(conn, exchange.seal, document.ref)
    if any(
        one.kind == "document.opened" and one.at_us > since and one.told.get("by") == person.address
        for one in happened
    ):
        return
    detail: dict[str, JSON] = {"by": person.address, "signer_record": record}

    def job(conn: sa.Connection) -> None:
        records.add_event(
            conn,
            exchange.seal,
            document.ref,
            "document.opened",
            document.ledger_subject,
            detail,
            partner=document.partner,
            told={"by": person.address},
        )

    exchange.database.write(job)
