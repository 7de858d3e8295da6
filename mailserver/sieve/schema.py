# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of the filters: scripts (sealed), and who was answered by a program when."""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


script = sa.Table(
    "sieve_script",
    metadata,
    _key("agency"),
    _key("account"),
    sa.Column("name_digest", sa.LargeBinary(16), primary_key=True),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("updated_us", sa.BigInteger, nullable=False),
)

answered = sa.Table(
    "answered",
    metadata,
    _key("agency"),
    _key("account"),
    sa.Column("whom", sa.LargeBinary(16), primary_key=True),
    sa.Column("until_us", sa.BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
"""Until when nobody answers the same sender again; ``whom`` is a keyed digest."""
