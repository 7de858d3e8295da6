# SPDX-License-Identifier: AGPL-3.0-or-later
"""The rows of a document that several agencies issue together (liên tịch), in the registers of those others.

Every outgoing document is registered at the clerk of the body that issues it (ND30/2020 Art. 4(2)(b), 14; R-REG-01), before
the body signs. The number is the issuing agency's alone: the others don't take one of theirs, their rows stand in a run of
their own and show that number. A row follows its document: numbered, then issued or void.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from config.clock import today_local
from config.seal import Seal
from exchange.registers.rows import Entry, RowKey, add_row, set_state
from exchange.registers.schema import register_row

SEQUENCE = "lien-tich"


def enter(
    conn: sa.Connection,
    seal: Seal,
    agency: int,
    home: int,
    document: int,
    shown_as: str,
    columns: Mapping[str, str],
    actor: str,
) -> RowKey:
    """The row at ``agency`` of the document that ``home`` (numbers at birth) issues: what stands there, else a new one.

    ``shown_as``: the issuing agency's number and notation.
    """
    standing = _rows(conn, home, document, (agency,))
    if standing:
        return standing[0]
    return add_row(
        conn,
        seal,
        agency=agency,
        register="outgoing",
        sequence=SEQUENCE,
        dated=today_local(),
        state="numbered",
        notation=f"{home}:{shown_as}",
        entry=Entry(columns, actor),
        document=document,
        home=home,
        shown_as=shown_as,
    )


def follow(
    conn: sa.Connection,
    seal: Seal,
    agencies: tuple[int, ...],
    home: int,
    document: int,
    state: str,
    entry: Entry,
) -> list[RowKey]:
    """Move the rows of a document at ``agencies`` to ``state`` (issued or void); those there are."""
    found = _rows(conn, home, document, agencies)
    for key in found:
        set_state(conn, seal, key, state, entry)
    return found


def _rows(conn: sa.Connection, home: int, document: int, agencies: tuple[int, ...]) -> list[RowKey]:
    r = register_row.c
    query = sa.select(r.agency, r.register, r.year, r.sequence, r.number).where(
        r.agency.in_(sorted(agencies)),
        r.document == document,
        r.home == home,
        r.state == "numbered",
    )
    return [RowKey(*row) for row in conn.execute(query.order_by(r.agency))]
