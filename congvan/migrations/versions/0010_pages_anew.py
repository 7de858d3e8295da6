# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages of header facts are written anew: in another form, and with more in them"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM search_page")


def downgrade() -> None:
    op.execute("DELETE FROM search_page")
