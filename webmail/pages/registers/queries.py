# SPDX-License-Identifier: AGPL-3.0-or-later
"""A page of a register, and the years it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import today_local
from exchange.documents.model import DocumentRef
from exchange.registers import rows
from exchange.registers.numbers import Register
from exchange.registers.rows import Row
from exchange.registers.schema import register_row
from mailserver.accounts import Account, Agency
from policy.rights import may, relation
from webmail import frame

PAGE = 50


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of a register. ``states`` counts all its rows by state, ``total`` them all."""

    rows: list[Row]
    states: dict[str, int]
    total: int
    page: int
    pages: int


def agencies(account: Account) -> list[Agency]:
    """Whose registers the account may read: its own agency's, for an auditor all of them."""
    return [
        one
        for one in frame.parts().accounts.agencies()
        if not one.elsewhere and may(account.role, "register.read", relation(account.agency_code, one.code))
    ]


def exports(account: Account, agency: Agency) -> bool:
    """Whether the account may take the register away as a file."""
    return may(account.role, "register.export", relation(account.agency_code, agency.code))


def years(agency: Agency, register: Register) -> list[int]:
    """The years that have numbers, newest first; this year always."""
    r = register_row.c
    with frame.parts().database.reading() as conn:
        found = conn.execute(
            sa.select(r.year).where(r.agency == agency.number, r.register == register).distinct()
        ).scalars()
        return sorted({today_local().year, *(int(one) for one in found)}, reverse=True)


def leaf(agency: Agency, register: Register, year: int, page: int) -> Leaf:
    """Fifty rows in the order of the register."""
    parts, r = frame.parts(), register_row.c
    with parts.database.reading() as conn:
        states = {
            row[0]: int(row[1])
            for row in conn.execute(
                sa.select(r.state, sa.func.count())
                .where(r.agency == agency.number, r.register == register, r.year == year)
                .group_by(r.state)
            )
        }
        total = sum(states.values())
        pages = max(1, -(-total // PAGE))
        page = min(page, pages)
        found = rows.listing(
            conn, parts.seal, agency.number, register, year, limit=PAGE, offset=(page - 1) * PAGE
        )
    return Leaf(found, states, total, page, pages)


def whole(agency: Agency, register: Register, year: int) -> list[Row]:
    """All rows of a year, for a file."""
    parts = frame.parts()
    with parts.database.reading() as conn:
        return rows.listing(conn, parts.seal, agency.number, register, year)


def ids(found: Iterable[Row]) -> dict[str, str]:
    """The internal ids of the rows' documents, by the row's name."""
    return {
        one.key.name: DocumentRef(one.home or one.key.agency, one.document).id
        for one in found
        if one.document is not None
    }
