# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows of the registers for documents that another agency numbers (issued jointly)"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "the agency that numbers it, when another one (issued jointly)"
    op.add_column("register_row", sa.Column("home", sa.BigInteger, comment=comment))


def downgrade() -> None:
    op.drop_column("register_row", "home")
