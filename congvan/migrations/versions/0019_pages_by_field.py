# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages are written anew: header fields stand by name in them"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM search_page")


def downgrade() -> None:
    op.execute("DELETE FROM search_page")
