# SPDX-License-Identifier: AGPL-3.0-or-later
"""Blobs on their way to another place: bytes first, durable, then the rows that name them.

Until the rows follow, the new bytes are waste that nothing names; a row follows only if it still names the old place.
"""

from __future__ import annotations

import sqlalchemy as sa

from config.database import Database
from mailserver.store import schema
from mailserver.store.storage import BlobStorage

_MOST = 20_000
_MOVED_AT_ONCE = 200


class Moves:
    """Collects blobs until there are enough for a group, then moves them with `commit`. One thread.

    Memory: ``writer.group_bytes`` and one blob.
    """

    def __init__(self, database: Database, writer: BlobStorage) -> None:
        self._database = database
        self._writer = writer
        self._moves: list[dict[str, int]] = []
        self._bytes = 0

    def add(self, blob: int, segment: int, offset: int, data: bytes) -> None:
        """``data`` is the sealed blob that lay at (segment, offset). Raises `StorageUnavailable`."""
        new_segment, new_offset = self._writer.append(data)
        self._moves.append({"b": blob, "s": segment, "o": offset, "new_s": new_segment, "new_o": new_offset})
        self._bytes += len(data)

    @property
    def is_full(self) -> bool:
        """Whether it is time to `commit`."""
        return self._bytes >= self._writer.group_bytes or len(self._moves) >= _MOST

    def commit(self) -> int:
        """Make the bytes durable, then have the rows name them; returns how many bytes moved."""
        self._writer.flush()
        moved, moves = self._bytes, self._moves
        self._moves, self._bytes = [], 0
        for start in range(0, len(moves), _MOVED_AT_ONCE):
            part = moves[start : start + _MOVED_AT_ONCE]
            self._database.write(lambda conn, part=part: _move(conn, part))  # type: ignore[misc]
        return moved


def _move(conn: sa.Connection, moves: list[dict[str, int]]) -> None:
    table = schema.blob
    conn.execute(
        sa.update(table)
        .where(
            table.c.blob == sa.bindparam("b"),
            table.c.segment == sa.bindparam("s"),
            table.c.offset == sa.bindparam("o"),
        )
        .values(segment=sa.bindparam("new_s"), offset=sa.bindparam("new_o")),
        moves,
    )
