# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows of documents: written and read, all functions of a connection.

A row changes state only here (`advance`), from the state its move starts in. Whatever adds to a document
first takes the document's row, so two transactions on one document come one after the other.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.seal import Seal
from exchange.documents import schema
from exchange.documents.kinds import nfc
from exchange.documents.model import Approval, Document, DocumentRef, Fields, Happened, Recipient
from exchange.documents.states import FIRST, MOVES, WrongState
from mailserver.accounts.schema import next_number
from policy.ledger.entries import PendingId, record
from policy.ledger.leaf import JSON

_table = schema.document


class Changes(TypedDict, total=False):
    """Columns in clear that a move may set."""

    kind: int
    dated: date
    year: int
    sequence: str
    number: int
    packet_digest: bytes
    content_digest: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class NewDocument:
    """What `create` needs beside the fields."""

    agency: int
    direction: str
    state: str
    kind: int
    partner: str
    wrapped_key: bytes = dataclasses.field(repr=False)
    business: str = "0"
    priority: int = 0
    dated: date | None = None
    content_digest: bytes | None = None
    packet_digest: bytes | None = None


def create(conn: sa.Connection, seal: Seal, new: NewDocument, fields: Fields) -> DocumentRef:
    """Add a document in one of the states in which one begins."""
    if new.state not in FIRST[new.direction]:
        raise WrongState(new.state)
    ref = DocumentRef(new.agency, next_number(conn, new.agency, "document"))
    now = now_us()
    conn.execute(
        sa.insert(_table).values(
            **ref._asdict(),
            direction=new.direction,
            state=new.state,
            kind=new.kind,
            business=new.business,
            priority=new.priority,
            partner=new.partner,
            dated=new.dated,
            created_us=now,
            updated_us=now,
            wrapped_key=new.wrapped_key,
            content_digest=new.content_digest,
            packet_digest=new.packet_digest,
            **_found_by(seal, fields),
            sealed=seal.seal(fields.as_json(), _aad(ref)),
        )
    )
    return ref


def get(conn: sa.Connection, seal: Seal, ref: DocumentRef) -> Document:
    """The document. Raises `Refused` (``no-such-document``)."""
    row = conn.execute(sa.select(_table).where(_at(ref))).first()
    if row is None:
        raise no_such_document(ref.id)
    return read(seal, row)


def advance(
    conn: sa.Connection,
    seal: Seal,
    ref: DocumentRef,
    move: str,
    fields: Fields | None = None,
    **changes: Unpack[Changes],
) -> None:
    """Make the move, in the caller's transaction. Raises `Refused` when it does not start here any more."""
    this = MOVES[move]
    values: dict[str, Any] = {"state": this.after, "updated_us": now_us(), **changes}
    if fields is not None:
        values |= {"sealed": seal.seal(fields.as_json(), _aad(ref)), **_found_by(seal, fields)}
    done = conn.execute(sa.update(_table).where(_at(ref), _table.c.state == this.before).values(**values))
    if done.rowcount != 1:
        state = conn.execute(sa.select(_table.c.state).where(_at(ref))).scalar()
        raise no_such_document(ref.id) if state is None else WrongState(state)


def set_fields(conn: sa.Connection, seal: Seal, ref: DocumentRef, fields: Fields) -> None:
    """Replace the sealed fields; the state stays."""
    conn.execute(
        sa.update(_table)
        .where(_at(ref))
        .values(sealed=seal.seal(fields.as_json(), _aad(ref)), updated_us=now_us(), **_found_by(seal, fields))
    )


def lock(conn: sa.Connection, ref: DocumentRef) -> None:
    """Take the document's row for the rest of the transaction."""
    conn.execute(sa.update(_table).where(_at(ref)).values(updated_us=now_us()))


# --- what belongs to a document


def add_event(
    conn: sa.Connection,
    seal: Seal,
    ref: DocumentRef,
    kind: str,
    subject: str,
    detail: Mapping[str, JSON],
    *,
    partner: str = "",
    status: str = "",
    proved: bool = False,
    file: int | None = None,
    told: Mapping[str, str] | None = None,
    at_us: int | None = None,
    happened_us: int | None = None,
    entry: str = "",
) -> tuple[int, PendingId]:
    """Write the ledger entry about ``subject`` and the event ``kind`` that names it.

    The entry is of the same kind, or of ``entry`` when our record is about what happened elsewhere.
    ``told`` is what the timeline shows; the text values of ``detail`` when not given. ``happened_us`` is
    the event's own time when it differs from the entry's (a receipt from elsewhere).
    """
    now = now_us() if at_us is None else at_us
    pending = record(conn, seal, entry or kind, subject, detail, now)
    event = _next(conn, schema.document_event, schema.document_event.c.event, ref)
    shown = told if told is not None else {name: one for name, one in detail.items() if isinstance(one, str)}
    conn.execute(
        sa.insert(schema.document_event).values(
            **ref._asdict(),
            event=event,
            kind=kind,
            at_us=now if happened_us is None else happened_us,
            detail=int(pending),
            partner=partner,
            status=status,
            proved=proved,
            file=file,
            sealed=_sealed(seal, ref, f"event {event}", dict(shown)),
        )
    )
    return event, pending


def events(conn: sa.Connection, seal: Seal, ref: DocumentRef) -> list[Happened]:
    """Everything that happened to a document, oldest first."""
    table = schema.document_event
    rows = conn.execute(sa.select(table).where(*_of(table, ref)).order_by(table.c.at_us, table.c.event))
    return [
        Happened(
            row.event,
            row.kind,
            row.at_us,
            row.detail,
            row.partner,
            row.status,
            row.proved,
            row.file,
            _opened(seal, ref, f"event {row.event}", row.sealed),
        )
        for row in rows
    ]


def add_approval(
    conn: sa.Connection,
    seal: Seal,
    ref: DocumentRef,
    kind: str,
    by: str,
    digest: str,
    at_us: int,
    *,
    mode: str = "file",
    proof: str = "",
) -> None:
    """Record a yes of a person. ``proof``: of a passkey's, `exchange.signing.phone.approval.Approval` as JSON."""
    table = schema.document_approval
    number = _next(conn, table, table.c.approval, ref)
    told = {"by": by, "digest": digest, "mode": mode, "proof": proof}
    conn.execute(
        sa.insert(table).values(
            **ref._asdict(),
            approval=number,
            kind=kind,
            at_us=at_us,
            sealed=_sealed(seal, ref, f"approval {number}", told),
        )
    )


def approvals(conn: sa.Connection, seal: Seal, ref: DocumentRef) -> list[Approval]:
    """The approvals of a document, oldest first."""
    table = schema.document_approval
    found = []
    for row in conn.execute(sa.select(table).where(*_of(table, ref)).order_by(table.c.approval)):
        told = _opened(seal, ref, f"approval {row.approval}", row.sealed)
        found.append(
            Approval(
                row.approval,
                row.kind,
                told["by"],
                told["digest"],
                told["mode"],
                row.at_us,
                told.get("proof", ""),
            )
        )
    return found


def add_recipients(conn: sa.Connection, ref: DocumentRef, codes: Iterable[str]) -> None:
    """The receiving agencies of an outgoing document."""
    now = now_us()
    conn.execute(
        sa.insert(schema.document_recipient),
        [
            {
                **ref._asdict(),
                "recipient": number,
                "code": code,
                "state": "waiting",
                "outcome": "pending",
                "updated_us": now,
            }
            for number, code in enumerate(codes, 1)
        ],
    )


def recipients(conn: sa.Connection, ref: DocumentRef) -> list[Recipient]:
    """The receiving agencies with state and outcome."""
    table = schema.document_recipient
    rows = conn.execute(sa.select(table).where(*_of(table, ref)).order_by(table.c.recipient))
    return [Recipient(row.recipient, row.code, row.state, row.outcome, row.updated_us) for row in rows]


def set_recipient(
    conn: sa.Connection, ref: DocumentRef, recipient: int | None, values: Mapping[str, str]
) -> None:
    """Set ``state`` or ``outcome`` of one recipient (None: of all)."""
    table = schema.document_recipient
    query = sa.update(table).where(*_of(table, ref)).values(updated_us=now_us(), **values)
    if recipient is not None:
        query = query.where(table.c.recipient == recipient)
    conn.execute(query)


# --- reading


def read(seal: Seal, row: Any) -> Document:
    """A row of the table as a value."""
    ref = DocumentRef(row.agency, row.document)
    return Document(
        ref,
        row.direction,
        row.state,
        row.kind,
        row.business,
        row.priority,
        row.partner,
        row.dated,
        row.created_us,
        row.updated_us,
        row.year,
        row.sequence,
        row.number,
        row.wrapped_key,
        Fields.read(seal.open(row.sealed, _aad(ref))),
        row.packet_digest,
    )


def identity_digest(seal: Seal, document_id: str) -> bytes:
    """How a DocumentId is found; an opaque string (edxml.md 3.2), only NFC is applied."""
    return seal.digest("document-id", nfc(document_id).encode())


def number_digest(seal: Seal, number: str) -> bytes:
    """How number and notation are found."""
    return seal.digest("document-number", nfc(number).casefold().encode())


def public_digest(seal: Seal, code: str) -> bytes:
    """How the code of the public look-up is found."""
    return seal.digest("document-public", code.encode())


def no_such_document(what: str) -> Refused:
    """The refusal for a document that is not here."""
    return Refused(
        "no-such-document", f"Không có văn bản “{what[:100]}”.", f"There is no document “{what[:100]}”."
    )


def _found_by(seal: Seal, fields: Fields) -> dict[str, bytes | None]:
    return {
        "identity_digest": identity_digest(seal, fields.document_id) if fields.document_id else None,
        "number_digest": number_digest(seal, fields.number) if fields.number else None,
        "public_digest": public_digest(seal, fields.public_code) if fields.public_code else None,
    }


def _next(conn: sa.Connection, table: sa.Table, column: sa.Column[int], ref: DocumentRef) -> int:
    """The next number within the document, whose row the caller holds or takes here."""
    lock(conn, ref)
    last = conn.execute(sa.select(sa.func.max(column)).where(*_of(table, ref))).scalar()
    return int(last or 0) + 1


def _of(table: sa.Table, ref: DocumentRef) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.agency == ref.agency, table.c.document == ref.document


def _at(ref: DocumentRef) -> sa.ColumnElement[bool]:
    return sa.and_(*_of(_table, ref))


def _aad(ref: DocumentRef, part: str = "") -> bytes:
    return f"document {ref.id} {part}".strip().encode()


def _sealed(seal: Seal, ref: DocumentRef, part: str, told: Mapping[str, str]) -> bytes:
    return seal.seal(json.dumps(told, ensure_ascii=False).encode(), _aad(ref, part))


def _opened(seal: Seal, ref: DocumentRef, part: str, sealed: bytes) -> dict[str, str]:
    told: dict[str, str] = json.loads(seal.open(sealed, _aad(ref, part)))
    return told
