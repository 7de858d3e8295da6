# SPDX-License-Identifier: AGPL-3.0-or-later
"""Documents with several signers: whose turn it is"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "document_turn",
        sa.Column("agency", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("turn", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(10), nullable=False, comment="initial, sign or seal"),
        sa.Column("code", sa.String(50), nullable=False, comment="the agency whose person or seal it is"),
        sa.Column("state", sa.String(10), nullable=False, comment="waiting or done"),
        sa.Column("at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("turn_of_agency", "document_turn", ["code", "state", "kind"])


def downgrade() -> None:
    op.drop_table("document_turn")
