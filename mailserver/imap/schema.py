# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of the protocol trace: for whom it is switched on, and what was traced, sealed."""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata

trace_switch = sa.Table(
    "trace_switch",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
)

trace_page = sa.Table(
    "trace_page",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("page", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
