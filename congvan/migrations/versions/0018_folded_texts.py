# SPDX-License-Identifier: AGPL-3.0-or-later
"""Folded texts of messages, to search them; those of messages that are indexed already follow behind delivery"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "search_folded",
        sa.Column("blob", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    comment = "to this one blobs may lack a folded text"
    op.add_column(
        "search_state",
        sa.Column("unfolded", sa.BigInteger, nullable=False, server_default="0", comment=comment),
    )
    op.execute("UPDATE search_state SET unfolded = blob")


def downgrade() -> None:
    op.drop_column("search_state", "unfolded")
    op.drop_table("search_folded")
