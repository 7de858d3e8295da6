# SPDX-License-Identifier: AGPL-3.0-or-later
"""UIDs and flags of large mailboxes in one row"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshot",
        sa.Column("agency", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("mailbox", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("modseq", sa.BigInteger, nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("snapshot")
    op.execute("UPDATE change SET kind = 'f' WHERE kind IN ('f+', 'f-', 'f=')")
