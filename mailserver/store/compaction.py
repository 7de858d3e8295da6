# SPDX-License-Identifier: AGPL-3.0-or-later
"""Compaction: what is left of mostly-dead segments is written elsewhere, while everybody reads and writes.

Each step may be the last one before a crash:

1. blobs of an old segment are appended to a new one and made durable, outside any transaction: until the
   rows follow, the new bytes are waste that nothing names;
2. one short transaction moves their rows, each only if it still names the old place;
3. a segment that no blob names is noted with the time; only `GRACE_S` later, so that who has read a row finds
   its bytes, it is deleted. A reader that is slower still reads the row again (`Store.content`).

The blobs' own rows say what lives, so there is no counter of waste to be kept or to be wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from config.clock import now_us
from config.database import Database
from mailserver.store import schema
from mailserver.store.moves import Moves
from mailserver.store.storage import BlobStorage

log = logging.getLogger("congvan.compaction")
GRACE_S = 600.0
UNNAMED_S = 86_400.0
"""An object that nothing names may belong to a transaction that is still to come, for so long at most."""
REMOVAL = "segment-removal"
"""The lease under which segments are deleted; a backup holds it while it copies."""
_ROWS = 2000


@dataclass(slots=True)
class Use:
    """One segment: bytes it has, bytes that blobs name, and how many blobs. Waste is the difference.

    ``foreign``: its blobs are to go elsewhere.
    """

    size: int
    live: int = 0
    blobs: int = 0
    end: int = 0
    foreign: bool = False

    @property
    def waste(self) -> int:
        """Bytes that nothing names."""
        return max(0, self.size - self.live)


@dataclass(slots=True)
class Report:
    """What one round did: segments rewritten and removed, bytes moved."""

    rewritten: int = 0
    removed: int = 0
    moved: int = 0


def usage(conn: sa.Connection, storage: BlobStorage) -> dict[int, Use]:
    """Every segment with what of it lives."""
    found = {
        number: Use(size, foreign=storage.is_foreign(number)) for number, size in storage.sizes().items()
    }
    table = schema.blob
    query = sa.select(
        table.c.segment,
        sa.func.sum(table.c.length),
        sa.func.count(),
        sa.func.max(table.c.offset + table.c.length),
    ).group_by(table.c.segment)
    for number, live, count, end in conn.execute(query):
        use = found.setdefault(number, Use(0))
        use.live, use.blobs, use.end = int(live), int(count), int(end)
    return found


class Compaction:
    """Rounds over all segments; ``percent`` of waste is too much, 0: none is. ``keep`` is called between steps and says whether to go on (the lease)."""

    def __init__(self, database: Database, storage: BlobStorage, percent: int) -> None:
        self._database = database
        self._storage = storage
        self._percent = percent
        self._closed: set[int] = set()

    def round(self, keep: Callable[[], bool]) -> Report:
        """One round: rewrite, note what is empty, trim. Blocking."""
        report = Report()
        # Closed first, named after: else what was appended between the two looks would count as nothing.
        self._closed = {number for number in self._storage.sizes() if self._storage.is_closed(number)}
        with self._database.reading() as conn:
            used = usage(conn, self._storage)
            known = dict(conn.execute(sa.select(schema.emptied.c.segment, schema.emptied.c.at_us)).all())
        writer = self._storage.sibling()
        try:
            if not self._rewrite(self._chosen(used), writer, keep, report):
                return report
        finally:
            writer.close()
        self._note_empty(used, known)
        for number, use in used.items():
            if number in self._closed and use.blobs and number not in known:
                self._storage.trim(number, use.end)
        return report

    def remove(self, *, grace_s: float = GRACE_S) -> int:
        """Delete segments that have been empty for ``grace_s`` seconds; returns how many. Under `REMOVAL`."""
        table, removed = schema.emptied, 0
        with self._database.reading() as conn:
            old = conn.execute(
                sa.select(table.c.segment).where(table.c.at_us < now_us() - int(grace_s * 1_000_000))
            ).all()
        for (number,) in old:
            named = sa.select(schema.blob.c.blob).where(schema.blob.c.segment == number).limit(1)
            with self._database.reading() as conn:
                if conn.execute(named).first() is None and self._storage.is_closed(number):
                    self._storage.remove(number)
                    removed += 1
            self._database.write(
                lambda conn, number=number: conn.execute(  # type: ignore[misc]
                    sa.delete(table).where(table.c.segment == number)
                )
            )
        return removed

    def _chosen(self, used: dict[int, Use]) -> list[int]:
        """Closed segments in a foreign place, those with enough waste, the worst first; small ones when there are several."""
        closed = {n: use for n, use in used.items() if n in self._closed and use.blobs}
        wasted = [
            n
            for n, use in closed.items()
            if self._storage.is_foreign(n)
            or (self._percent and (use.end - use.live) * 100 >= self._percent * use.end)
        ]
        small = [n for n, use in closed.items() if self._percent and self._storage.wants_merge(n, use.size)]
        chosen = sorted(wasted, key=lambda n: -used[n].waste)
        return chosen + ([n for n in small if n not in chosen] if len(small) > 8 else [])

    def _rewrite(
        self, numbers: list[int], writer: BlobStorage, keep: Callable[[], bool], report: Report
    ) -> bool:
        """Move the blobs of segments, those of small ones together; False when the lease is lost."""
        moves = Moves(self._database, writer)
        for number in numbers:
            for row in self._blobs(number):
                data = self._storage.read(number, row.offset, row.length)
                if len(data) != row.length:
                    log.error("blob %d of segment %d can't be read; it stays where it is", row.blob, number)
                    continue
                moves.add(row.blob, number, row.offset, data)
                if moves.is_full:
                    if not keep():
                        return False
                    report.moved += moves.commit()
            report.rewritten += 1
        if not keep():
            return False
        report.moved += moves.commit()
        return True

    def _blobs(self, number: int) -> Iterator[Any]:
        last = -1
        table = schema.blob
        query = sa.select(table.c.blob, table.c.offset, table.c.length).order_by(table.c.blob).limit(_ROWS)
        while True:
            with self._database.reading() as conn:
                rows = conn.execute(query.where(table.c.segment == number, table.c.blob > last)).all()
            if not rows:
                return
            last = rows[-1].blob
            yield from rows

    def _note_empty(self, used: dict[int, Use], known: dict[int, int]) -> None:
        young = now_us() - int(UNNAMED_S * 1_000_000)
        with self._database.reading() as conn:
            named = {row[0] for row in conn.execute(sa.select(schema.blob.c.segment).distinct())}
        empty = [
            number
            for number in used
            if number in self._closed and number not in named and number not in known
        ]
        if self._storage.is_remote:
            rewritten = {n for n in empty if used[n].blobs}
            empty = [n for n in empty if n in rewritten or n >> 10 < young]

        def job(conn: sa.Connection) -> None:
            dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
            for number in empty:
                note = dialect.insert(schema.emptied).values(segment=number, at_us=now_us())
                conn.execute(note.on_conflict_do_nothing())

        if empty:
            self._database.write(job)
