# SPDX-License-Identifier: AGPL-3.0-or-later
"""Statements of the hottest paths: written in SQLAlchemy Core, compiled once a dialect (DESIGN 4.7).

Building, keying and looking up a Core statement costs several times what SQLite needs to run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa


class Statement:
    """A Core statement whose values are all `sqlalchemy.bindparam`; call it with a connection.

    Values go to the driver as they are: integers, text, bytes, None. Rows come back as the driver gives
    them, with the column names of the statement.
    """

    def __init__(self, core: sa.sql.base.Executable) -> None:
        self._core = core
        self._compiled: dict[str, tuple[str, Sequence[str] | None]] = {}

    def __call__(self, conn: sa.Connection, **values: Any) -> sa.CursorResult[Any]:
        """Run it once."""
        text, order = self._for(conn)
        if order is None:
            return conn.exec_driver_sql(text, values)
        return conn.exec_driver_sql(text, tuple([values[name] for name in order]))

    def first(self, conn: sa.Connection, **values: Any) -> Sequence[Any] | None:
        """Run it and give its first row."""
        row: Sequence[Any] | None = self(conn, **values).first()
        return row

    def many(self, conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> sa.CursorResult[Any]:
        """Run it for each of ``rows`` (at least one)."""
        text, order = self._for(conn)
        if order is None:
            return conn.exec_driver_sql(text, [dict(row) for row in rows])
        return conn.exec_driver_sql(text, [tuple([row[name] for name in order]) for row in rows])

    def _for(self, conn: sa.Connection) -> tuple[str, Sequence[str] | None]:
        known = self._compiled.get(conn.dialect.name)
        if known is None:
            compiled = self._core.compile(dialect=conn.dialect)  # type: ignore[attr-defined]
            order = compiled.positiontup if compiled.positional else None
            known = (str(compiled), order)
            self._compiled[conn.dialect.name] = known
        return known


def insert(table: sa.Table) -> Statement:
    """An insert that names every column of ``table``."""
    return Statement(sa.insert(table).values({one.name: sa.bindparam(one.name) for one in table.columns}))
