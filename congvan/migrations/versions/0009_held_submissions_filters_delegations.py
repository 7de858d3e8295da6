# SPDX-License-Identifier: AGPL-3.0-or-later
"""Held submissions, filters, shared addresses, delegations"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answered",
        sa.Column("agency", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("whom", sa.LargeBinary(length=16), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account", "whom"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_answered_until_us"), "answered", ["until_us"], unique=False)
    op.create_table(
        "delegation",
        sa.Column("agency", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("delegation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("deputy_agency", sa.Integer(), nullable=False),
        sa.Column("deputy_account", sa.Integer(), nullable=False),
        sa.Column("reads", sa.Boolean(), nullable=False),
        sa.Column("sends", sa.String(length=6), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("agency", "account", "delegation"),
    )
    op.create_table(
        "shared_address",
        sa.Column("address_digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("agency", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("address_digest"),
    )
    op.create_table(
        "sieve_script",
        sa.Column("agency", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name_digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account", "name_digest"),
    )
    op.create_table(
        "submission",
        sa.Column("agency", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("submission", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("blob", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("release_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "submission"),
    )
    op.create_index(op.f("ix_submission_release_us"), "submission", ["release_us"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_submission_release_us"), table_name="submission")
    op.drop_table("submission")
    op.drop_table("sieve_script")
    op.drop_table("shared_address")
    op.drop_table("delegation")
    op.drop_index(op.f("ix_answered_until_us"), table_name="answered")
    op.drop_table("answered")
