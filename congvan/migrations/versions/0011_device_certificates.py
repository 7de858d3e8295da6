# SPDX-License-Identifier: AGPL-3.0-or-later
"""Devices that sign in by a TLS certificate"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_certificate",
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agency", sa.Integer(), nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("credential", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint"),
    )


def downgrade() -> None:
    op.drop_table("device_certificate")
