# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who initials, signs and seals a document, in this order, and whose turn it is.

Initials (ký nháy) come first, then the persons, then the seals: the issuing agency's, and those of the agencies
that issue it jointly. The order follows from the document's fields; what is done stands in `document_turn`.
Documents from before that table have one signer and one seal, done as their state says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.seal import Seal
from exchange.documents.model import Document, DocumentRef, Fields
from exchange.documents.schema import document as document_table
from exchange.documents.schema import document_turn as table
from exchange.signing.pdf.layout import INITIAL, ORGANISATION, PERSON, nth

Kind = Literal["initial", "sign", "seal"]
_FIELDS: dict[Kind, str] = {"initial": INITIAL, "sign": PERSON, "seal": ORGANISATION}
UNSIGNED = ("drafted", "approved", "signing")
"""States in which a person's turn may wait."""
_BEFORE_SEAL = (*UNSIGNED, "returned", "signed", "numbered", "sealing")


@dataclass(frozen=True, slots=True)
class Turn:
    """One signature of a document. ``place`` counts from 1; ``field`` is the PDF's; ``by``: address, or "" of a
    seal; ``code``: the agency; ``done_us`` is 0 while it waits.
    """

    place: int
    kind: Kind
    field: str
    by: str
    code: str
    done_us: int = 0

    @property
    def waits(self) -> bool:
        """Whether it is still to be given."""
        return self.done_us == 0


def planned(fields: Fields) -> list[Turn]:
    """All turns of a document, none of them done."""
    home = fields.organ_code
    people: list[tuple[Kind, str, str]] = [("initial", one, home) for one in fields.initials]
    people += [("sign", fields.signer, home)]
    people += [("sign", by, code) for by, code in zip(fields.co_signers, fields.co_codes, strict=True)]
    seals: list[tuple[Kind, str, str]] = [("seal", "", code) for code in (home, *fields.joint_codes)]
    found: list[Turn] = []
    for place, (kind, by, code) in enumerate((*people, *seals), 1):
        earlier = sum(one.kind == kind for one in found)
        found.append(Turn(place, kind, nth(_FIELDS[kind], earlier), by, code))
    return found


def plan(conn: sa.Connection, seal: Seal, ref: DocumentRef, fields: Fields) -> None:
    """Write the turns of a new (or newly submitted) document: all wait."""
    now = now_us()
    conn.execute(sa.delete(table).where(*_of(ref)))
    conn.execute(
        sa.insert(table),
        [
            {
                **ref._asdict(),
                "turn": one.place,
                "kind": one.kind,
                "code": one.code,
                "state": "waiting",
                "at_us": now,
                "person": person_digest(seal, one.by),
            }
            for one in planned(fields)
        ],
    )


def listing(conn: sa.Connection, document: Document) -> list[Turn]:
    """The turns of an outgoing document with what is done."""
    rows = conn.execute(sa.select(table.c.turn, table.c.state, table.c.at_us).where(*_of(document.ref)))
    done = {row.turn: row.at_us if row.state == "done" else 0 for row in rows}
    if not done:
        done = {one.place: _done_by_state(one, document) for one in planned(document.fields)}
    return [
        Turn(one.place, one.kind, one.field, one.by, one.code, done.get(one.place, 0))
        for one in planned(document.fields)
    ]


def next_of(turns: list[Turn]) -> Turn | None:
    """The turn that waits now; None when all is done."""
    return next((one for one in turns if one.waits), None)


def finish(conn: sa.Connection, ref: DocumentRef, turn: Turn) -> None:
    """Note that a turn is done. Raises `Refused` (``wrong-turn``) when it was done already."""
    done = conn.execute(
        sa.update(table)
        .where(*_of(ref), table.c.turn == turn.place, table.c.state == "waiting")
        .values(state="done", at_us=now_us())
    )
    if done.rowcount != 1 and has_rows(conn, ref):
        raise Refused(
            "wrong-turn",
            "Chữ ký này đã có trên văn bản.",
            "This signature is on the document already.",
        )


def has_rows(conn: sa.Connection, ref: DocumentRef) -> bool:
    """Whether the turns of a document are kept in rows."""
    return conn.execute(sa.select(table.c.turn).where(*_of(ref)).limit(1)).first() is not None


def set_person(conn: sa.Connection, seal: Seal, ref: DocumentRef, turn: Turn) -> None:
    """Write whose turn it is."""
    conn.execute(
        sa.update(table)
        .where(*_of(ref), table.c.turn == turn.place)
        .values(person=person_digest(seal, turn.by))
    )


def person_digest(seal: Seal, address: str) -> bytes:
    """By what the turns of a person are found."""
    return seal.digest("turn-person", address.lower().encode())


def waiting_for(seal: Seal, address: str) -> sa.Select[Any]:
    """Rows of `document` in which it is this person's turn to initial or sign now: urgent ones first, then the oldest."""
    mine, before = table.alias("mine"), table.alias("before")
    same = sa.and_(mine.c.agency == document_table.c.agency, mine.c.document == document_table.c.document)
    earlier = sa.exists().where(
        before.c.agency == mine.c.agency,
        before.c.document == mine.c.document,
        before.c.turn < mine.c.turn,
        before.c.state == "waiting",
    )
    return (
        sa.select(document_table)
        .join(mine, same)
        .where(
            mine.c.person == person_digest(seal, address),
            mine.c.state == "waiting",
            document_table.c.direction == "outgoing",
            document_table.c.state.in_(UNSIGNED),
            ~earlier,
        )
        .order_by(document_table.c.priority.desc(), document_table.c.created_us)
    )


def waiting_at(code: str, kinds: tuple[Kind, ...], states: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """The condition on rows of `document` that a turn of one of ``kinds`` waits at the agency ``code``."""
    here = sa.exists().where(
        table.c.agency == document_table.c.agency,
        table.c.document == document_table.c.document,
        table.c.code == code,
        table.c.state == "waiting",
        table.c.kind.in_(kinds),
    )
    return sa.and_(document_table.c.direction == "outgoing", document_table.c.state.in_(states), here)


def _done_by_state(turn: Turn, document: Document) -> int:
    waits = document.state in (_BEFORE_SEAL if turn.kind == "seal" else (*UNSIGNED, "returned"))
    return 0 if waits else document.updated_us


def _of(ref: DocumentRef) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.agency == ref.agency, table.c.document == ref.document
