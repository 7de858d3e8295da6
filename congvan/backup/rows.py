# SPDX-License-Identifier: AGPL-3.0-or-later
"""All rows of a database as records, from one snapshot; either engine reads what the other wrote."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from config.database import Database, metadata
from congvan.backup.envelope import Writer, damaged, exactly

_ROWS = 500
_LARGEST = 256 * 1024 * 1024


def dump(conn: sa.Connection, out: Writer) -> dict[str, int]:
    """Write every table of the program; returns how many rows each has. ``conn``: one snapshot."""
    counted: dict[str, int] = {}
    for table in metadata.sorted_tables:
        columns = list(table.columns)
        binary = [at for at, one in enumerate(columns) if isinstance(one.type, sa.LargeBinary)]
        dates = [at for at, one in enumerate(columns) if isinstance(one.type, sa.Date)]
        names = [one.name for one in columns]
        head = {"table": table.name, "columns": names, "binary": binary, "dates": dates}
        counted[table.name] = 0
        rows = conn.execution_options(yield_per=_ROWS).execute(sa.select(table))
        for part in rows.partitions():
            plain = [_plain(row, binary, dates) for row in part]
            out.record({**head, "rows": len(plain)}, zlib.compress(json.dumps(plain).encode(), 1))
            counted[table.name] += len(plain)
    return counted


def _plain(row: Any, binary: list[int], dates: list[int]) -> list[Any]:
    values = list(row)
    for at in binary:
        if values[at] is not None:
            values[at] = base64.b64encode(values[at]).decode()
    for at in dates:
        if values[at] is not None:
            values[at] = values[at].isoformat()
    return values


def load(database: Database, path: Path, head: dict[str, Any], stream: BinaryIO) -> int:
    """Insert one record of `dump`, unless an interrupted restore did; returns the number of rows."""
    if head["size"] > _LARGEST:
        raise damaged(path, "a record is too large")
    rows = json.loads(zlib.decompress(b"".join(exactly(path, stream, head["size"]))))
    binary, dates = set(head["binary"]), set(head["dates"])
    table = sa.table(
        head["table"],
        *(
            sa.column(name, sa.LargeBinary() if at in binary else sa.Date() if at in dates else None)
            for at, name in enumerate(head["columns"])
        ),
    )
    for row in rows:
        for at in binary:
            if row[at] is not None:
                row[at] = base64.b64decode(row[at])
        for at in dates:
            if row[at] is not None:
                row[at] = date.fromisoformat(row[at])
    values = [dict(zip(head["columns"], row, strict=True)) for row in rows]
    if values:
        insert = (postgresql if database.dialect == "postgresql" else sqlite).insert(table)
        database.write(lambda conn: conn.execute(insert.on_conflict_do_nothing(), values))
    return len(values)


def go_on_counting(database: Database) -> None:
    """PostgreSQL's own counters continue behind the rows that were loaded."""
    if database.dialect != "postgresql":
        return

    def job(conn: sa.Connection) -> None:
        for table in metadata.sorted_tables:
            for column in table.primary_key.columns:
                name = conn.execute(
                    sa.text("SELECT pg_get_serial_sequence(:t, :c)"),
                    {"t": f'"{table.name}"', "c": column.name},
                ).scalar()
                if name is not None:
                    top = conn.execute(sa.select(sa.func.max(column))).scalar() or 0
                    conn.execute(sa.text("SELECT setval(:n, :v)"), {"n": name, "v": int(top) + 1})

    database.write(job)
