# SPDX-License-Identifier: AGPL-3.0-or-later
"""DKIM keys, TLS policies of other domains, greylist, the spam filter"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dkim_key",
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("selector", sa.String(length=63), nullable=False),
        sa.Column("algorithm", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "selector"),
    )
    op.create_table(
        "tls_policy",
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("hosts", sa.Text(), nullable=False),
        sa.Column("fetched_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain"),
    )
    op.create_table(
        "greylist",
        sa.Column("triplet", sa.LargeBinary(length=16), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("triplet"),
    )
    op.create_index("greylist_until", "greylist", ["until_us"])
    op.create_table(
        "spam_word",
        sa.Column("word", sa.LargeBinary(length=8), nullable=False),
        sa.Column("spam", sa.Integer(), nullable=False),
        sa.Column("ham", sa.Integer(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("word"),
    )
    op.create_table(
        "spam_learned",
        sa.Column("message", sa.LargeBinary(length=16), nullable=False),
        sa.Column("junk", sa.Boolean(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message"),
    )
    op.create_table(
        "lesson",
        sa.Column("lesson", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("blob", sa.BigInteger(), nullable=False),
        sa.Column("junk", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("lesson"),
    )


def downgrade() -> None:
    for name in ("lesson", "spam_learned", "spam_word", "greylist", "tls_policy", "dkim_key"):
        op.drop_table(name)
