# SPDX-License-Identifier: AGPL-3.0-or-later
"""The protocol trace; when devices were used"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_use",
        sa.Column("agency", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("credential", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("used_us", sa.BigInteger(), nullable=False),
        sa.Column("sealed_source", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account", "credential"),
    )
    op.create_table(
        "trace_switch",
        sa.Column("agency", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account"),
    )
    op.create_table(
        "trace_page",
        sa.Column("agency", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("page", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "account", "page"),
    )


def downgrade() -> None:
    for table in ("trace_page", "trace_switch", "device_use"):
        op.drop_table(table)
