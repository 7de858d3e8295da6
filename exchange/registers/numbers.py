# SPDX-License-Identifier: AGPL-3.0-or-later
"""Taking a number: no gaps, no twins, number order is time order (ND30/2020 Art. 15; DESIGN 4.16).

Functions of a connection, for one short writing transaction: a lock on the counter's row, the row of the
register, nothing else. Whoever asks first gets the lower number, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from config.refusal import Refused
from exchange.documents.kinds import Kind, kind_numbered
from exchange.registers.schema import register_counter, register_policy, register_row

Register: TypeAlias = Literal["outgoing", "incoming"]

ARRIVAL = "den"
"""The one sequence of arrival numbers (ND30/2020 Art. 22(2))."""

LETTERS, DECISIONS, OTHERS = "cong-van", "quyet-dinh", "khac"
_DECISION_KIND = 2


def default_sequence(kind: Kind) -> str:
    """Letters one sequence, decisions one, all other named kinds one (the custom of provinces)."""
    if kind.is_letter:
        return LETTERS
    return DECISIONS if kind.number == _DECISION_KIND else OTHERS


def sequence_of(conn: sa.Connection, agency: int, year: int, kind: Kind) -> str:
    """The sequence of ``kind`` as the head of the agency decided for ``year``, else the default."""
    table = register_policy
    found = conn.execute(
        sa.select(table.c.sequence).where(
            table.c.agency == agency, table.c.year == year, table.c.kind == kind.number
        )
    ).scalar()
    return str(found) if found is not None else default_sequence(kind)


def set_policy(conn: sa.Connection, agency: int, year: int, policy: Mapping[int, str]) -> None:
    """Set the sequences of a year, kind number → name. Raises `Refused` once the year has numbers (R-NUM-11)."""
    taken = conn.execute(
        sa.select(register_row.c.number)
        .where(
            register_row.c.agency == agency,
            register_row.c.register == "outgoing",
            register_row.c.year == year,
        )
        .limit(1)
    ).first()
    if taken is not None:
        raise Refused(
            "policy-fixed",
            f"Sổ năm {year} đã cấp số; quy định cấp số không đổi trong năm.",
            f"Numbers of {year} were given already; the sequences do not change within a year.",
            rule="R-NUM-11",
        )
    unknown = [one for one in policy if kind_numbered(one) is None]
    if unknown or not all(0 < len(name) <= 30 for name in policy.values()):
        raise Refused("bad-policy", "Quy định cấp số không hợp lệ.", "The sequences are not valid.")
    conn.execute(
        sa.delete(register_policy).where(register_policy.c.agency == agency, register_policy.c.year == year)
    )
    for kind, name in policy.items():
        conn.execute(sa.insert(register_policy).values(agency=agency, year=year, kind=kind, sequence=name))


def take(conn: sa.Connection, agency: int, register: Register, sequence: str, dated: date) -> int:
    """The next number of a sequence for ``dated``; the counter's row stays locked until the commit.

    Raises `Refused`: ``earlier-date`` (R-NUM-03), ``register-closed``.
    """
    table = register_counter
    here = _here(agency, register, dated.year, sequence)
    advance = (
        sa.update(table)
        .where(here)
        .values(next=table.c.next + 1)
        .returning(table.c.next, table.c.last_date, table.c.closed_us)
    )
    row = conn.execute(advance).first()
    if row is None:
        conn.execute(_open(conn, agency, register, dated.year, sequence))
        row = conn.execute(advance).one()
    if row.closed_us is not None:
        raise Refused(
            "register-closed",
            "Sổ này đã đóng vì cơ quan đã kết thúc hoạt động hoặc sáp nhập.",
            "This register is closed: the body ended or was merged.",
            rule="R-ORG-04",
        )
    if row.last_date is not None and dated < row.last_date:
        raise Refused(
            "earlier-date",
            f"Số trước đã mang ngày {row.last_date:%d/%m/%Y}; không cấp số cho ngày {dated:%d/%m/%Y} trước đó.",
            f"The previous number bears {row.last_date:%Y-%m-%d}; none is given for {dated:%Y-%m-%d} before it.",
            rule="R-NUM-03",
        )
    if row.last_date != dated:
        conn.execute(sa.update(table).where(here).values(last_date=dated))
    return int(row.next) - 1


def coming(
    conn: sa.Connection, agency: int, register: Register, sequence: str, year: int
) -> tuple[int, date | None]:
    """The number that would come next and the date of the last one; takes nothing."""
    table = register_counter
    row = conn.execute(
        sa.select(table.c.next, table.c.last_date).where(_here(agency, register, year, sequence))
    ).first()
    return (1, None) if row is None else (int(row.next), row.last_date)


def close(conn: sa.Connection, agency: int, year: int, at_us: int) -> int:
    """Close all sequences of a body that ended (R-ORG-04); returns how many."""
    table = register_counter
    done = conn.execute(
        sa.update(table)
        .where(table.c.agency == agency, table.c.year == year, table.c.closed_us.is_(None))
        .values(closed_us=at_us)
    )
    return int(done.rowcount)


def _here(agency: int, register: str, year: int, sequence: str) -> sa.ColumnElement[bool]:
    table = register_counter
    return sa.and_(
        table.c.agency == agency,
        table.c.register == register,
        table.c.year == year,
        table.c.sequence == sequence,
    )


def _open(conn: sa.Connection, agency: int, register: str, year: int, sequence: str) -> Any:
    """An insert that yields to a twin made at the same moment."""
    values = {"agency": agency, "register": register, "year": year, "sequence": sequence, "next": 1}
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    return dialect.insert(register_counter).values(**values).on_conflict_do_nothing()
