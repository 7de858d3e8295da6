# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of the registers (ND30/2020 Art. 15, 16, 22).

One row a number holds the state; what the row says lies in versions that are only added. Keys begin with
the agency's number at birth. In clear: numbers, dates, states, keyed digests. Sealed: the legal columns,
who wrote them, and why.
"""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _row_key() -> list[sa.Column[object]]:
    return [
        sa.Column("agency", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("register", sa.String(10), primary_key=True, comment="outgoing or incoming"),
        sa.Column("year", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.String(30), primary_key=True, comment="which run of numbers"),
    ]


register_row = sa.Table(
    "register_row",
    metadata,
    *_row_key(),
    _key("number"),
    sa.Column("state", sa.String(10), nullable=False, comment="numbered, issued, void or reserved"),
    sa.Column("medium", sa.String(10), nullable=False, comment="electronic or paper"),
    sa.Column("dated", sa.Date, nullable=False, comment="the date the number was given for, Vietnam"),
    sa.Column("document", sa.BigInteger, comment="its electronic document in this agency"),
    sa.Column(
        "notation_digest",
        sa.LargeBinary(16),
        nullable=False,
        comment="of the notation; of its sequence for a reserved row; of nothing for an arrival",
    ),
    sa.Column("version", sa.Integer, nullable=False, comment="the newest version"),
    sa.Column("home", sa.BigInteger, comment="the agency that numbers it, when another one (issued jointly)"),
)
sa.Index(
    "register_pair",
    register_row.c.agency,
    register_row.c.year,
    register_row.c.number,
    register_row.c.notation_digest,
    unique=True,
    sqlite_where=register_row.c.register == "outgoing",
    postgresql_where=register_row.c.register == "outgoing",
)
"""ND30/2020 Art. 15(1): number and notation of a body are unique in a year (R-NUM-01)."""
sa.Index(
    "register_arrival",
    register_row.c.agency,
    register_row.c.year,
    register_row.c.number,
    unique=True,
    sqlite_where=register_row.c.register == "incoming",
    postgresql_where=register_row.c.register == "incoming",
)
"""ND30/2020 Art. 22(2): one running arrival number a year (R-NUM-14)."""
sa.Index("register_document", register_row.c.agency, register_row.c.document)

register_version = sa.Table(
    "register_version",
    metadata,
    *_row_key(),
    _key("number"),
    _key("version"),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="columns, actor, reason; JSON"),
)

register_counter = sa.Table(
    "register_counter",
    metadata,
    *_row_key(),
    sa.Column("next", sa.BigInteger, nullable=False),
    sa.Column("last_date", sa.Date, comment="date of the last number given"),
    sa.Column("closed_us", sa.BigInteger, comment="the body ended or was merged: no number any more"),
)

register_policy = sa.Table(
    "register_policy",
    metadata,
    sa.Column("agency", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("year", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.String(30), nullable=False),
)
"""The head's decision on sequences (ND30/2020 Art. 15(1)(c)); the default has no rows."""
