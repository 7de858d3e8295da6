# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person reads and signs or initials with a passkey (DESIGN 4.15): show the very file, take the yes, sign.

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
from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from exchange.documents import files, records, signature, turns
from exchange.documents.approve import not_the_signer
from exchange.documents.model import Document, DocumentRef, StoredFile
from exchange.documents.schema import document as document_table
from exchange.documents.states import MOVES, wrong_state
from exchange.documents.turns import Turn
from exchange.documents.work import Work, content, load
from exchange.exchange import Exchange
from exchange.signing.pdf.render import render, texts_of
from exchange.signing.pdf.sign import Begun, begin_as_person, begun_before, finish
from exchange.signing.phone.approval import Approval, Assertion, Statement, approvals, pages_digest
from exchange.signing.protocol import PersonApproval
from mailserver.accounts import Account
from policy.ledger.leaf import JSON
from policy.rights import Act, relation, require

_AGAIN_US = 10 * 60 * 1_000_000
_READ_US = 24 * 60 * 60 * 1_000_000
"""A document counts as read for a gesture when it was opened within a day."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What is shown: ``digest`` (hex) is what a signature will cover, ``pages`` are PNGs."""

    document: Document
    turn: Turn
    turns: tuple[Turn, ...]
    digest: str
    shown: str
    pages: tuple[bytes, ...] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    "The text layer of each page, for large type."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document of a gesture: ``problem`` is None when it was signed."""

    id: str
    problem: Refused | None


def waiting(database: Database, seal: Seal, person: Account, most: int) -> list[tuple[Document, Turn]]:
    """What waits now for this person's signature or initials, urgent ones first, then the oldest."""
    if person.agency_code is None:
        return []
    table = document_table
    own = sa.and_(
        table.c.agency == person.agency, table.c.direction == "outgoing", table.c.state.in_(turns.UNSIGNED)
    )
    elsewhere = turns.waiting_at(person.agency_code, ("initial", "sign"), turns.UNSIGNED)
    query = sa.select(table).where(sa.or_(own, elsewhere)).order_by(table.c.updated_us).limit(5 * most)
    found = []
    with database.reading() as conn:
        for row in conn.execute(query).all():
            document = records.read(seal, row)
            if person.address not in document.fields.people:
                continue
            turn = turns.next_of(turns.listing(conn, document))
            if turn is not None and turn.by == person.address:
                found.append((document, turn))
    return sorted(found, key=lambda one: (-one[0].priority, one[0].created_us))[:most]


def present(exchange: Exchange, ref: DocumentRef, person: Account) -> Presented:
    """The pages of the file that ``person`` is to sign; recorded as opened. Raises `Refused`, `Unavailable`."""
    document, turn, every = _waiting(exchange, ref, person)
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "open", person.address)
    begun = _begun(exchange, Work(ref, opened.key), document, turn)
    pages, texts = render(begun.data), texts_of(begun.data)
    _record_opened(exchange, document, person, opened.use.record)
    return Presented(document, turn, tuple(every), begun.digest.hex(), pages_digest(pages), pages, texts)


def statement(exchange: Exchange, ref: DocumentRef, person: Account, digest: str, shown: str) -> Statement:
    """What ``person`` is asked to say yes to. Raises `Refused` for a document that was not opened and read."""
    document, turn, _ = _waiting(exchange, ref, person)
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
    told = {"purpose": turn.kind, "signer": person.address, "document": digest, "shown": shown}
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
    document, turn, _ = _waiting(exchange, ref, person)
    said = proof.statement
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "receive", person.address)
    work = Work(ref, opened.key)
    draft, _ = content(exchange, work, "draft")
    begun = _begun(exchange, work, document, turn)
    if said.document != begun.digest.hex() or said.shown != pages_digest(render(begun.data)):
        raise Refused(
            "shown-differs",
            "Văn bản đã đổi từ lúc mở xem. Chưa ký gì; hãy mở xem lại.",
            "The document changed since it was opened. Nothing was signed; open it again.",
        )
    yes = PersonApproval(
        said.id, person.address, said.document, said.at, "passkey", turn.kind, proof.as_json()
    )
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
        if turn.kind == "sign" and records.get(conn, exchange.seal, ref).state == "drafted":
            records.advance(conn, exchange.seal, ref, "approve")
        _record_approval(conn, exchange, document, turn, draft, proof)
        signature.write(conn, exchange, document, turn, written, detail)

    exchange.database.write(job)


def _record_approval(
    conn: sa.Connection,
    exchange: Exchange,
    document: Document,
    turn: Turn,
    draft: StoredFile,
    proof: Approval,
) -> None:
    """The yes itself with the passkey's proof; the signer's says that content and form were checked too."""
    said = proof.statement
    acts = (
        [("initial", "document.reviewed")] if turn.kind == "initial" else [("text", MOVES["approve"].entry)]
    )
    if turn.by == document.fields.signer and turn.kind == "sign":
        acts = [("content", "document.content-checked"), ("form", "document.form-checked"), *acts]
    for kind, entry in acts:
        records.add_approval(
            conn,
            exchange.seal,
            document.ref,
            kind,
            turn.by,
            draft.sha256,
            said.at,
            mode="passkey",
            proof=proof.as_json() if kind in ("text", "initial") else "",
        )
        detail: dict[str, JSON] = {
            "by": turn.by,
            "declared_by": turn.by,
            "mode": "passkey",
            "sha256": draft.sha256,
            "approval": said.id,
            "shown": said.shown,
        }
        records.add_event(
            conn, exchange.seal, document.ref, entry, document.ref.subject, detail, partner=document.partner
        )


def _begun(exchange: Exchange, work: Work, document: Document, turn: Turn) -> Begun:
    """The file with this signature begun: the one kept, or a new one for what is signed so far."""
    with exchange.database.reading() as conn:
        every = files.listing(conn, exchange.seal, work.ref)
    kept = [one for one in every if one.role == "prepared"]
    last = max((one.file for one in every if one.role in ("draft", "signing")), default=0)
    if kept and kept[-1].file > last:
        return begun_before(exchange.files.read(work.key, kept[-1]), turn.field, exchange.trust, turn.by)
    stored, data = signature.base(exchange, work, document)
    begun = begin_as_person(data, exchange.trust, turn.by, signature.mark_of(exchange, turn), turn.field)
    written = exchange.files.write(work.ref.agency, work.key, stored.name, files.PDF, begun.data)
    exchange.database.write(lambda conn: files.add(conn, exchange.seal, work.ref, "prepared", written))
    return begun


def _waiting(exchange: Exchange, ref: DocumentRef, person: Account) -> tuple[Document, Turn, list[Turn]]:
    """The document, the person's turn on it, and all turns. Raises `Refused` when it is not theirs now."""
    document = load(exchange, ref)
    with exchange.database.reading() as conn:
        every = turns.listing(conn, document)
    mine = [one for one in every if one.by == person.address]
    if not mine:
        require(person.role, "document.sign", relation(person.agency_code, document.partner))
        raise not_the_signer()
    right: Act = "document.initial" if mine[0].kind == "initial" else "document.sign"
    require(person.role, right, relation(person.agency_code, mine[0].code))
    if document.direction != "outgoing" or document.state not in turns.UNSIGNED or not mine[0].waits:
        raise wrong_state(document.state)
    now = turns.next_of(every)
    if now != mine[0]:
        raise Refused(
            "not-your-turn",
            f"Chưa đến lượt: văn bản đang chờ chữ ký của {now.by if now else ''}.",
            f"Not your turn yet: the document waits for {now.by if now else ''} to sign.",
        )
    return document, mine[0], every


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
