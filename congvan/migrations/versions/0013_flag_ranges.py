# SPDX-License-Identifier: AGPL-3.0-or-later
"""Changes of flags that rows follow later"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flag_range",
        sa.Column("agency", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("mailbox", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("modseq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_uid", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_uid", sa.BigInteger, nullable=False),
        sa.Column("how", sa.String(8), nullable=False),
        sa.Column("mask", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("flag_range")
