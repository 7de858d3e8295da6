# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the door found out about a message, beside its summary"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("summary", sa.Column("sealed_verdict", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("summary", "sealed_verdict")
