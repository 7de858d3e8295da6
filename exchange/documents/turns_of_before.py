# SPDX-License-Identifier: AGPL-3.0-or-later
"""Turns written before they were found by person: the worker adds what is missing, some at a time."""

from __future__ import annotations

import sqlalchemy as sa

from exchange.documents import records, turns
from exchange.documents.schema import document, document_turn
from exchange.exchange import Exchange

_AT_ONCE = 100


def complete(exchange: Exchange) -> int:
    """Write the missing persons of documents that wait for signatures; how many documents were completed."""
    seal = exchange.seal
    its = sa.and_(
        document_turn.c.agency == document.c.agency, document_turn.c.document == document.c.document
    )
    whole = sa.exists().where(its, document_turn.c.person.is_not(None))
    query = (
        sa.select(document)
        .where(document.c.direction == "outgoing", document.c.state.in_(turns.UNSIGNED), ~whole)
        .limit(_AT_ONCE)
    )
    with exchange.database.reading() as conn:
        found = [records.read(seal, row) for row in conn.execute(query)]

    def job(conn: sa.Connection) -> None:
        for one in found:
            known = turns.has_rows(conn, one.ref)
            if not known:
                turns.plan(conn, seal, one.ref, one.fields)
            for turn in turns.planned(one.fields) if known else ():
                turns.set_person(conn, seal, one.ref, turn)

    if found:
        exchange.database.write(job)
    return len(found)
