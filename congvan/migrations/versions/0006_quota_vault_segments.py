# SPDX-License-Identifier: AGPL-3.0-or-later
"""Quotas, the vault of expunged mail, segments that are compacted"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("quota_bytes", sa.BigInteger(), nullable=True))
    op.add_column("agency", sa.Column("quota_bytes", sa.BigInteger(), nullable=True))
    op.add_column("mailbox", sa.Column("buried_owner", sa.Integer(), nullable=True))
    with op.batch_alter_table("blob") as blob:
        blob.alter_column("segment", type_=sa.BigInteger(), existing_nullable=False)
    op.create_index("blob_segment", "blob", ["segment", "length"])
    op.create_table(
        "segment_emptied",
        sa.Column("segment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment"),
    )
    op.create_table(
        "blob_erased",
        sa.Column("name", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_blob_erased_at_us", "blob_erased", ["at_us"])
    op.create_table(
        "vault",
        sa.Column("agency", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mailbox", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Integer(), nullable=False),
        sa.Column("blob", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.BigInteger(), nullable=False),
        sa.Column("internaldate_us", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("expunged_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "mailbox", "uid"),
        sqlite_with_rowid=False,
    )
    op.create_index("vault_due", "vault", ["expunged_us"])
    op.create_index("vault_owner", "vault", ["agency", "owner", "expunged_us"])


def downgrade() -> None:
    op.drop_table("vault")
    op.drop_table("blob_erased")
    op.drop_table("segment_emptied")
    op.drop_index("blob_segment", table_name="blob")
    with op.batch_alter_table("blob") as blob:
        blob.alter_column("segment", type_=sa.Integer(), existing_nullable=False)
    op.drop_column("mailbox", "buried_owner")
    op.drop_column("agency", "quota_bytes")
    op.drop_column("account", "quota_bytes")
