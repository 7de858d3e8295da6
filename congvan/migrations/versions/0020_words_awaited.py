# SPDX-License-Identifier: AGPL-3.0-or-later
"""Held packets that wait for a word on revocation"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "word_awaited",
        sa.Column("agency", sa.BigInteger, nullable=False),
        sa.Column("document", sa.BigInteger, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False, comment="when it is looked for again"),
        sa.Column("sealed", sa.LargeBinary, nullable=False, comment="the certificates without a word, PEM"),
        sa.PrimaryKeyConstraint("agency", "document"),
    )
    op.create_index("word_next", "word_awaited", ["next_us"])


def downgrade() -> None:
    op.drop_table("word_awaited")
