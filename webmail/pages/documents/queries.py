# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the document lists read. Columns in clear select and order; fields are opened for the rows shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from exchange.documents import records, schema, turns
from exchange.documents.model import Document, DocumentRef
from exchange.documents.opening import may_open
from mailserver.accounts import Account, Agency
from mailserver.message import fold_line
from policy.rights import may, relation
from webmail import frame
from webmail.errors import NotAllowed, NotThere

PAGE = 50
_SEARCHED = 2_000
_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,9})\Z")

STATES: dict[str, dict[str, tuple[str, ...]]] = {
    "incoming": {
        "waiting": ("held", "arrived"),
        "registered": ("registered",),
        "refused": ("refused",),
    },
    "outgoing": {
        "working": (
            *("drafted", "returned", "approved", "signing", "signed", "numbered", "sealing", "sealed"),
        ),
        "sent": ("sent",),
        "trouble": ("sent",),
        "void": ("void",),
    },
}
"""The filters of each list and the states they show."""
TROUBLE = ("refused", "failed", "expired", "incident")
RECEIVED = "accepted"


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of an outgoing document at its recipients: outcome → how many."""

    outcomes: dict[str, int]

    @property
    def total(self) -> int:
        """All recipients."""
        return sum(self.outcomes.values())

    @property
    def received(self) -> int:
        """Those whose clerk accepted it."""
        return self.outcomes.get(RECEIVED, 0)

    @property
    def trouble(self) -> tuple[tuple[str, int], ...]:
        """Outcomes that somebody must look at."""
        return tuple((one, self.outcomes[one]) for one in TROUBLE if self.outcomes.get(one))


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list; ``counts`` by filter, ``found`` rows in all for what is shown."""

    documents: list[Document]
    tallies: dict[DocumentRef, Tally]
    counts: dict[str, dict[str, int]]
    found: int
    page: int
    cut: bool = False


def home() -> Agency:
    """The agency of who signed in. Raises `NotThere` for an account without one."""
    found = frame.parts().accounts.agency(frame.account().agency_code)
    if found is None:
        raise NotThere
    return found


def sees_all(account: Account) -> bool:
    """Whether the account reads every document of its agency, not only its own drafts."""
    return may(account.role, "document.read", relation(account.agency_code, account.agency_code))


def sees_any(account: Account) -> bool:
    """Whether documents are of this account's business at all."""
    return may(account.role, "document.read", "own")


def reference(text: str) -> DocumentRef:
    """``3-17`` as a key. Raises `NotThere`."""
    found = _ID.match(text)
    if found is None:
        raise NotThere
    return DocumentRef(int(found[1]), int(found[2]))


def document(ref: DocumentRef) -> Document:
    """The document when the person may read it. Raises `NotAllowed`, and `NotThere` when there is none."""
    parts, who = frame.parts(), frame.account()
    with parts.database.reading() as conn:
        row = conn.execute(sa.select(schema.document).where(*_at(ref))).first()
    if row is None:
        raise NotThere
    found = records.read(parts.seal, row)
    agency = parts.accounts.agency_number(ref.agency)
    if agency is None or not may_open(who, found, agency):
        where = agency.name if agency else ""
        raise NotAllowed(
            f"Văn bản này của {where}. Chỉ văn thư, lãnh đạo và người soạn của cơ quan đó mở được; "
            "thanh tra xem dấu vết ở mục Thanh tra.",
            f"This document belongs to {where}. Only that body's clerks, leaders and its drafter open it; "
            "auditors see its trace under Audit.",
        )
    return found


def counts(agency: int) -> dict[str, dict[str, int]]:
    """How many documents stand in each filter of each list; the count is the length of what it opens."""
    d = schema.document.c
    with frame.parts().database.reading() as conn:
        rows = conn.execute(
            sa.select(d.direction, d.state, sa.func.count())
            .where(d.agency == agency)
            .group_by(d.direction, d.state)
        ).all()
        late = conn.execute(
            sa.select(sa.func.count()).select_from(schema.document).where(d.agency == agency, _troubled())
        ).scalar_one()
    by_state = {(row[0], row[1]): int(row[2]) for row in rows}
    found = {
        direction: {
            name: sum(by_state.get((direction, one), 0) for one in states) for name, states in filters.items()
        }
        for direction, filters in STATES.items()
    }
    found["outgoing"]["trouble"] = int(late)
    found["incoming"]["all"] = sum(found["incoming"].values())
    found["outgoing"]["all"] = sum(found["outgoing"].values()) - int(late)
    return found


def listing(agency: Agency, direction: str, show: str, page: int) -> Listing:
    """One page: what is in trouble first, then what waits, then the newest."""
    d = schema.document.c
    where = [d.agency == agency.number, d.direction == direction]
    if show == "trouble":
        where.append(_troubled())
    elif show != "all":
        where.append(d.state.in_(STATES[direction][show]))
    parts = frame.parts()
    with parts.database.reading() as conn:
        rows = conn.execute(
            sa.select(schema.document)
            .where(*where)
            .order_by(_urgency(direction), d.updated_us.desc(), d.document.desc())
            .limit(PAGE)
            .offset((page - 1) * PAGE)
        ).all()
        found = [records.read(parts.seal, row) for row in rows]
        tallies = _tallies(conn, [one.ref for one in found])
    numbers = counts(agency.number)
    return Listing(found, tallies, numbers, numbers[direction][show], page)


def waiting_for_seal(account: Account) -> list[Document]:
    """Documents of other agencies that wait for the seal of this clerk's, oldest first."""
    code = account.agency_code
    if code is None or not may(account.role, "document.issue", relation(code, code)):
        return []
    parts = frame.parts()
    query = sa.select(schema.document).where(turns.waiting_at(code, ("seal",), ("sealing",))).limit(PAGE)
    with parts.database.reading() as conn:
        found = [
            records.read(parts.seal, row)
            for row in conn.execute(query.order_by(schema.document.c.updated_us))
        ]
        now = [turns.next_of(turns.listing(conn, one)) for one in found]
    return [one for one, turn in zip(found, now, strict=True) if turn is not None and turn.code == code]


def own_drafts(agency: Agency, address: str) -> Listing:
    """What a drafter drafted, among the newest documents of the agency."""
    return _looked_through(agency, lambda one: one.fields.drafter == address)


def search(agency: Agency, words: str) -> Listing:
    """Documents that hold all words (marks need not be typed) in number, abstract, agency or signer."""
    wanted = fold_line(words).split()[:8]

    def holds(one: Document) -> bool:
        fields = one.fields
        text = f"{fields.number} {fields.subject} {fields.organ_name} {fields.signer_name} {fields.kind} {one.id}"
        folded = fold_line(text)
        return all(word in folded for word in wanted)

    return _looked_through(agency, holds)


def _looked_through(agency: Agency, keep: Any) -> Listing:
    parts, d = frame.parts(), schema.document.c
    with parts.database.reading() as conn:
        rows = conn.execute(
            sa.select(schema.document)
            .where(d.agency == agency.number)
            .order_by(d.updated_us.desc(), d.document.desc())
            .limit(_SEARCHED)
        ).all()
        found = [one for one in (records.read(parts.seal, row) for row in rows) if keep(one)]
        tallies = _tallies(conn, [one.ref for one in found[:PAGE]])
    cut = len(rows) == _SEARCHED or len(found) > PAGE
    return Listing(found[:PAGE], tallies, counts(agency.number), len(found), 1, cut)


def names(codes: Iterable[str]) -> dict[str, str]:
    """Code → name of agencies; the code itself when it is not known here."""
    accounts = frame.parts().accounts
    return {code: one.name if (one := accounts.agency(code)) else code for code in codes}


def _tallies(conn: sa.Connection, refs: Sequence[DocumentRef]) -> dict[DocumentRef, Tally]:
    if not refs:
        return {}
    r = schema.document_recipient.c
    agency = refs[0].agency
    rows = conn.execute(
        sa.select(r.document, r.outcome, sa.func.count())
        .where(r.agency == agency, r.document.in_([one.document for one in refs]))
        .group_by(r.document, r.outcome)
    )
    found: dict[DocumentRef, dict[str, int]] = {}
    for row in rows:
        found.setdefault(DocumentRef(agency, row[0]), {})[row[1]] = int(row[2])
    return {ref: Tally(outcomes) for ref, outcomes in found.items()}


def _troubled() -> sa.ColumnElement[bool]:
    """An outgoing document that some recipient refused, or that did not get there."""
    d, r = schema.document.c, schema.document_recipient.c
    return sa.and_(
        d.direction == "outgoing",
        sa.exists()
        .where(r.agency == d.agency, r.document == d.document, r.outcome.in_(TROUBLE))
        .correlate(schema.document),
    )


def _urgency(direction: str) -> sa.ColumnElement[Any]:
    d = schema.document.c
    if direction == "incoming":
        return sa.case((d.state == "held", 0), (d.state == "arrived", 1), else_=2)
    return sa.case((_troubled(), 0), (d.state.in_(STATES["outgoing"]["working"]), 1), else_=2)


def _at(ref: DocumentRef) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return schema.document.c.agency == ref.agency, schema.document.c.document == ref.document
