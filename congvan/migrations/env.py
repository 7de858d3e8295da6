# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs migrations on the database named by `congvan.migrate`: all in one transaction, by one node at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from config.database import metadata

_TURN = 0x636F6E6776616E
engine = sa.create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    if engine.dialect.name == "sqlite":  # its driver begins no transaction for DDL by itself
        connection.connection.driver_connection.isolation_level = None  # type: ignore[union-attr]
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_TURN})"))
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=False, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
