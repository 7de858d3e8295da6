# SPDX-License-Identifier: AGPL-3.0-or-later
"""When a message came into its mailbox (SAVEDATE), rights of others in a mailbox (ACL)"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("savedate_us", sa.BigInteger(), nullable=True))
    op.create_table(
        "mailbox_grant",
        sa.Column("agency", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mailbox", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("to_agency", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("to_account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rights", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("agency", "mailbox", "to_agency", "to_account"),
    )
    op.create_index("mailbox_grant_to", "mailbox_grant", ["to_agency", "to_account"])


def downgrade() -> None:
    op.drop_table("mailbox_grant")
    op.drop_column("message", "savedate_us")
