# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who has initialled, signed and sealed a document, and who still has to, as lines of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exchange.documents import turns
from exchange.documents.model import Document
from exchange.documents.turns import Turn
from webmail import frame, shown


@dataclass(frozen=True, slots=True)
class Line:
    """One signature: ``field`` is the PDF's, ``kind`` is initial, sign or seal, ``state`` done, now or later."""

    field: str
    kind: str
    name: str
    agency: str
    state: str
    at_us: int


def lines(document: Document, every: Sequence[Turn]) -> list[Line]:
    """In their order; the first that waits is the one whose turn it is."""
    accounts = frame.parts().accounts
    now = turns.next_of(list(every)) if document.state != "returned" else None
    found = []
    for one in every:
        agency = accounts.agency(one.code)
        called = agency.name if agency is not None else one.code
        state = "done" if not one.waits else "now" if one == now else "later"
        name = shown.known_name(accounts, one.by, one.by) if one.by else called
        found.append(Line(one.field, one.kind, name, called if one.by else "", state, one.done_us))
    return found


def of(document: Document) -> list[Line]:
    """The lines of a document; none for one that came in."""
    if document.direction != "outgoing":
        return []
    with frame.parts().database.reading() as conn:
        return lines(document, turns.listing(conn, document))
