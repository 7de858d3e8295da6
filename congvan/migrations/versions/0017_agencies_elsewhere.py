# SPDX-License-Identifier: AGPL-3.0-or-later
"""Agencies whose mailboxes another server has"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agency", sa.Column("elsewhere", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("agency", "elsewhere")
