# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a person is shown before signing or initialling, and the file whose signature was begun for that.

`present` prepares the file with its signature begun, so the digest that will be signed is known and the pages
shown are those of the file that becomes the signed one. Opening is recorded with what was shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from config.clock import now_us
from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from exchange.documents import files, records, signature, turns
from exchange.documents.approve import not_the_signer
from exchange.documents.model import Document, DocumentRef
from exchange.documents.schema import document as document_table
from exchange.documents.states import WrongState
from exchange.documents.turns import Turn
from exchange.documents.work import Work, load
from exchange.exchange import Exchange
from exchange.signing.pdf.render import render, texts_of
from exchange.signing.pdf.sign import Begun, begin_as_person, begun_before
from exchange.signing.phone.approval import pages_digest
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


def waiting(database: Database, seal: Seal, person: Account, most: int) -> list[tuple[Document, Turn]]:
    """What waits now for this person's signature or initials, urgent ones first, then the oldest."""
    found = []
    with database.reading() as conn:
        for row in conn.execute(turns.waiting_for(seal, person.address).limit(most)).all():
            document = records.read(seal, row)
            turn = turns.next_of(turns.listing(conn, document))
            if turn is not None and turn.by == person.address:
                found.append((document, turn))
    return found


def refs_waiting(database: Database, seal: Seal, person: Account, most: int) -> list[DocumentRef]:
    """Which, in the same order; nothing is unsealed."""
    query = turns.waiting_for(seal, person.address).limit(most)
    names = (document_table.c.agency, document_table.c.document)
    with database.reading() as conn:
        return [DocumentRef(*row) for row in conn.execute(query.with_only_columns(*names))]


def count_waiting(database: Database, seal: Seal, person: Account) -> int:
    """How many; nothing is unsealed."""
    query = sa.select(sa.func.count()).select_from(
        turns.waiting_for(seal, person.address).order_by(None).subquery()
    )
    with database.reading() as conn:
        return int(conn.execute(query).scalar_one())


def present(exchange: Exchange, ref: DocumentRef, person: Account) -> Presented:
    """The pages of the file that ``person`` is to sign; recorded as opened. Raises `Refused`, `Unavailable`."""
    document, turn, every = turn_of(exchange, ref, person)
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "open", person.address)
    begun = begun_for(exchange, Work(ref, opened.key), document, turn)
    pages, texts = render(begun.data), texts_of(begun.data)
    made = Presented(document, turn, tuple(every), begun.digest.hex(), pages_digest(pages), pages, texts)
    _record_opened(exchange, made, person, opened.use.record)
    return made


def last_read(exchange: Exchange, ref: DocumentRef, person: Account) -> tuple[str, str] | None:
    """(digest, digest of the pages) as ``person`` opened it last, within a day; None when not opened."""
    since = now_us() - _READ_US
    with exchange.database.reading() as conn:
        happened = records.events(conn, exchange.seal, ref)
    read = [
        one.told
        for one in happened
        if one.kind == "document.opened"
        and one.at_us > since
        and one.told.get("by") == person.address
        and "digest" in one.told
    ]
    return (read[-1]["digest"], read[-1]["shown"]) if read else None


def not_read(document: Document) -> Refused:
    """The refusal to sign what was not opened."""
    return Refused(
        "not-read",
        f"Chưa mở xem “{document.fields.subject[:80]}”. Mở xem từng văn bản trước khi ký.",
        f"“{document.fields.subject[:80]}” was not opened yet. Open each document before signing.",
    )


def shown_differs() -> Refused:
    """The refusal to sign something else than was shown."""
    return Refused(
        "shown-differs",
        "Văn bản đã đổi từ lúc mở xem. Chưa ký gì; hãy mở xem lại.",
        "The document changed since it was opened. Nothing was signed; open it again.",
    )


def begun_for(exchange: Exchange, work: Work, document: Document, turn: Turn) -> Begun:
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


def turn_of(exchange: Exchange, ref: DocumentRef, person: Account) -> tuple[Document, Turn, list[Turn]]:
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
        raise WrongState(document.state)
    now = turns.next_of(every)
    if now != mine[0]:
        raise Refused(
            "not-your-turn",
            f"Chưa đến lượt: văn bản đang chờ chữ ký của {now.by if now else ''}.",
            f"Not your turn yet: the document waits for {now.by if now else ''} to sign.",
        )
    return document, mine[0], every


def _record_opened(exchange: Exchange, shown: Presented, person: Account, record: str) -> None:
    """Once in ten minutes, and whenever something else is shown."""
    document, since = shown.document, now_us() - _AGAIN_US
    told = {"by": person.address, "digest": shown.digest, "shown": shown.shown}
    with exchange.database.reading() as conn:
        happened = records.events(conn, exchange.seal, document.ref)
    if any(one.kind == "document.opened" and one.at_us > since and one.told == told for one in happened):
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
            told=told,
        )

    exchange.database.write(job)
