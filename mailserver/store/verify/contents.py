# SPDX-License-Identifier: AGPL-3.0-or-later
"""Contents: every blob lies inside its segment, opens, is what its name says, and has its summary.

Slice after slice in fresh snapshots. What a delivery dropped or compaction moved since the slice was read is
looked at again before it counts as a problem.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from config.database import Database
from config.seal import Seal, SealBroken
from mailserver.message import Summary, scan
from mailserver.store import blobs, schema
from mailserver.store.storage import BlobStorage
from mailserver.store.verify.findings import Findings, Fix

_SLICE = 200


def check_contents(database: Database, segments: BlobStorage, seal: Seal, found: Findings) -> None:
    """Read and open everything."""
    last = -1
    sizes: dict[int, int] = {}
    query = sa.select(schema.blob, schema.summary.c.sealed).join(
        schema.summary, schema.summary.c.blob == schema.blob.c.blob, isouter=True
    )
    while True:
        with database.reading() as conn:
            rows = conn.execute(
                query.where(schema.blob.c.blob > last).order_by(schema.blob.c.blob).limit(_SLICE)
            ).all()
        if not rows:
            break
        last = rows[-1].blob
        for row in rows:
            _check(database, segments, seal, row, sizes, found)
    used: dict[int, int] = {}
    with database.reading() as conn:
        table = schema.blob
        for segment, length in conn.execute(
            sa.select(table.c.segment, sa.func.sum(table.c.length)).group_by(table.c.segment)
        ):
            used[segment] = int(length)
    found.waste = sum(max(0, size - used.get(number, 0)) for number, size in segments.sizes().items())


def _check(
    database: Database, segments: BlobStorage, seal: Seal, row: Any, sizes: dict[int, int], found: Findings
) -> None:
    place = f"blob {row.blob}"
    try:
        data = blobs.opened(segments, seal, row)
    except (SealBroken, OSError) as problem:
        now = _moved(database, row)
        if now is not None and (now.segment, now.offset) != (row.segment, row.offset):
            _check(database, segments, seal, now, sizes, found)
        elif now is not None:
            found.add("blob-unreadable", place, _why(segments, row, problem, sizes))
        return
    if seal.blob_name(data) != row.name:
        found.add("blob-name", place, "the content is not what its name says")
        return
    if row.sealed is None:
        found.add("summary-missing", place, "no summary", _summarise(seal, row, data, new=True))
        return
    try:
        Summary.unpack(seal.open(row.sealed, b"summary" + row.name))
    except (SealBroken, TypeError, ValueError) as problem:
        fix = _summarise(seal, row, data, new=False)
        found.add("summary-unreadable", place, type(problem).__name__, fix)


def _moved(database: Database, row: Any) -> Any:
    with database.reading() as conn:
        return conn.execute(
            sa.select(schema.blob, schema.summary.c.sealed)
            .join(schema.summary, schema.summary.c.blob == schema.blob.c.blob, isouter=True)
            .where(schema.blob.c.blob == row.blob)
        ).first()


def _why(segments: BlobStorage, row: Any, problem: Exception, sizes: dict[int, int]) -> str:
    if row.segment not in sizes:
        sizes[row.segment] = segments.size(row.segment)
    size = sizes[row.segment]
    where = f"segment {row.segment} at {row.offset}, {row.length} bytes"
    if size < row.offset + row.length:
        return f"{where}: the segment ends at {size}" if size else f"{where}: there is no such segment"
    return f"{where}: {type(problem).__name__}"


def _summarise(seal: Seal, row: Any, data: bytes, *, new: bool) -> Fix:
    sealed = seal.seal(scan(data).pack(), b"summary" + row.name)
    table = schema.summary
    if new:
        there = sa.select(sa.literal(row.blob), sa.literal(sealed)).where(
            sa.exists().where(schema.blob.c.blob == row.blob)
        )
        return lambda conn: conn.execute(sa.insert(table).from_select(["blob", "sealed"], there))
    return lambda conn: conn.execute(sa.update(table).where(table.c.blob == row.blob).values(sealed=sealed))
