# SPDX-License-Identifier: AGPL-3.0-or-later
"""Letters to many mailboxes: accepted by one transaction, spread by resumable slices (DESIGN 4.2)."""

from __future__ import annotations

import json
import logging

import sqlalchemy as sa

from config.seal import Seal
from mailserver.accounts.schema import next_number
from mailserver.store import Ref, Store, blobs, messages, schema

log = logging.getLogger("congvan.delivery")

ABOVE = 200
"""More mailboxes than that are a spread letter; also how many one slice fills."""


def later(conn: sa.Connection, seal: Seal, blob: int, size: int, boxes: list[Ref], now: int) -> None:
    """Note that ``boxes`` get the blob, whose references are already counted; ``now`` in µs UTC."""
    number = next_number(conn, 0, "spread")
    conn.execute(
        sa.insert(schema.spread).values(
            spread=number,
            blob=blob,
            internaldate_us=now,
            size=size,
            sealed_mailboxes=seal.seal(json.dumps(boxes).encode(), b"spread"),
            done=0,
        )
    )


def is_waiting(store: Store) -> bool:
    """Whether a letter is still to be spread."""
    with store.database.reading() as conn:
        return conn.execute(sa.select(schema.spread.c.spread).limit(1)).first() is not None


def one_slice(conn: sa.Connection, store: Store) -> bool:
    """Put the next slice of the oldest spread letter into its mailboxes; False when none is left."""
    table = schema.spread
    row = conn.execute(
        sa.select(table).order_by(table.c.spread).limit(1).with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return False
    boxes = [Ref(*one) for one in json.loads(store.seal.open(row.sealed_mailboxes, b"spread"))]
    part = boxes[row.done : row.done + ABOVE]
    uids = messages.put_all(
        conn, [messages.Put(box, row.blob, 0, row.internaldate_us, row.size) for box in part]
    )
    if gone := uids.count(None):
        blobs.refer(conn, row.blob, -gone)
        log.warning("%d mailboxes of spread letter %d are gone", gone, row.spread)
    store.woken(conn, *part)
    this = table.c.spread == row.spread
    if row.done + len(part) >= len(boxes):
        conn.execute(sa.delete(table).where(this))
    else:
        conn.execute(sa.update(table).where(this).values(done=row.done + len(part)))
    return True
