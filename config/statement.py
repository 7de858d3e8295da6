# SPDX-License-Identifier: AGPL-3.0-or-later
"""Statements of the hottest paths: written in SQLAlchemy Core, compiled once a dialect (DESIGN 4.7).

Building, keying and looking up a Core statement costs several times what SQLite needs to run it; and where
nothing but plain values goes in and out, `Statement.row`, `run` and `many` also go round SQLAlchemy's execution
context, on the same connection and in the same transaction.
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

    def row(self, conn: sa.Connection, **values: Any) -> tuple[Any, ...] | None:
        """Run it in the transaction at hand; its first row as a tuple, or None."""
        cursor = self._execute(conn, values)
        found: tuple[Any, ...] | None = cursor.fetchone()
        cursor.close()
        return found

    def rows(self, conn: sa.Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Run it in the transaction at hand; all rows as tuples."""
        cursor = self._execute(conn, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        cursor.close()
        return found

    def run(self, conn: sa.Connection, **values: Any) -> int:
        """Run it in the transaction at hand; how many rows it changed."""
        cursor = self._execute(conn, values)
        cursor.close()
        return int(cursor.rowcount)

    def many(self, conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of ``rows`` in the transaction at hand."""
        text, order = self._for(conn)
        given: Any = list(rows) if order is None else [tuple([one[name] for name in order]) for one in rows]
        cursor = conn.connection.cursor()
        try:
            cursor.executemany(text, given)
        except conn.dialect.loaded_dbapi.Error as problem:
            raise _translated(conn, text, problem) from problem
        cursor.close()

    def _execute(self, conn: sa.Connection, values: dict[str, Any]) -> Any:
        text, order = self._for(conn)
        cursor = conn.connection.cursor()
        try:
            cursor.execute(text, values if order is None else tuple([values[name] for name in order]))
        except conn.dialect.loaded_dbapi.Error as problem:
            raise _translated(conn, text, problem) from problem
        return cursor

    def _for(self, conn: sa.Connection) -> tuple[str, Sequence[str] | None]:
        known = self._compiled.get(conn.dialect.name)
        if known is None:
            compiled = self._core.compile(dialect=conn.dialect)  # type: ignore[attr-defined]
            order = compiled.positiontup if compiled.positional else None
            known = (str(compiled), order)
            self._compiled[conn.dialect.name] = known
        return known


def _translated(conn: sa.Connection, text: str, problem: Exception) -> Exception:
    """What Core raises for the driver's ``problem``."""
    made: Exception = sa.exc.DBAPIError.instance(
        text, None, problem, conn.dialect.loaded_dbapi.Error, hide_parameters=True, dialect=conn.dialect
    )
    return made


def insert(table: sa.Table) -> Statement:
    """An insert that names every column of ``table``."""
    return Statement(sa.insert(table).values({one.name: sa.bindparam(one.name) for one in table.columns}))
