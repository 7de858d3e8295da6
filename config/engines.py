# SPDX-License-Identifier: AGPL-3.0-or-later
"""SQLAlchemy's engines for one database: many readers, one writer (DESIGN 4.7)."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from config.statement import Statement

_IDLE_S = 120
"""A transaction may wait for a bucket (three tries of 20 s), but no node thinks for so long in one."""


def engines(url: str, patience_s: float) -> tuple[sa.Engine, sa.Engine]:
    """An engine for reads, each in one snapshot, and one with a single connection for writes.

    On PostgreSQL a write waits ``patience_s`` seconds for a locked row, and the server ends the transaction of a
    node that is stopped in the middle of one.
    A SQLite file is never made here: on a disk that is not mounted just now an empty one would take its place.
    """
    sqlite = sa.make_url(url).get_backend_name() == "sqlite"
    if sqlite:
        place = f"file:{quote(sa.make_url(url).database or '')}?mode=rw"

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(
                place, uri=True, check_same_thread=False, timeout=30, cached_statements=512
            )

        options: dict[str, Any] = {
            "poolclass": QueuePool,
            "pool_size": 8,
            "max_overflow": 56,
            "creator": connect,
        }
    else:
        options = {"pool_pre_ping": True, "pool_size": 8, "max_overflow": 56}
    reader = sa.create_engine(url, **options)
    if not sqlite:
        limits = f"-c lock_timeout={patience_s * 1000:.0f} -c idle_in_transaction_session_timeout={_IDLE_S}s"
        options |= {"connect_args": {"options": limits}}
    writer = sa.create_engine(url, **{**options, "pool_size": 1, "max_overflow": 0})
    if sqlite:
        _sqlite_engine(reader, "BEGIN")
        _sqlite_engine(writer, "BEGIN IMMEDIATE")
    else:
        reader = reader.execution_options(isolation_level="REPEATABLE READ")
    return reader, writer


def _sqlite_engine(engine: sa.Engine, begin: str) -> None:
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=30000",
            "foreign_keys=ON",
            "cache_size=-16000",
            "temp_store=MEMORY",
            "secure_delete=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    begins = Statement(sa.text(begin))  # a sixth of what `exec_driver_sql` costs

    def on_begin(conn: sa.Connection) -> None:
        begins.run(conn)

    sa.event.listen(engine, "connect", on_connect)
    sa.event.listen(engine, "begin", on_begin)
