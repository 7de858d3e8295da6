# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who was told that a mailbox is nearly full"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quota_told",
        sa.Column("agency", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("quota_told")
