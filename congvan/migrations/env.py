# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs migrations on the database named by `congvan.migrate`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from config.database import metadata

engine = sa.create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=False)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
