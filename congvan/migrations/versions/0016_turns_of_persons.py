# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whose turn it is to sign, found by person"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "keyed, of the address of who initials or signs; of nobody for a seal"
    op.add_column("document_turn", sa.Column("person", sa.LargeBinary(16), comment=comment))
    op.create_index("turn_of_person", "document_turn", ["person", "state"])


def downgrade() -> None:
    op.drop_index("turn_of_person", "document_turn")
    op.drop_column("document_turn", "person")
