# SPDX-License-Identifier: AGPL-3.0-or-later
"""How far an import has come: one row for (account, source, folder), so that it goes on where it was."""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata

imported = sa.Table(
    "imported",
    metadata,
    sa.Column("agency", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("folder_digest", sa.LargeBinary(16), primary_key=True),
    sa.Column("uidvalidity", sa.BigInteger, nullable=False),
    sa.Column("last_uid", sa.BigInteger, nullable=False),
    sa.Column("copied", sa.BigInteger, nullable=False),
    sa.Column("present", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
)
