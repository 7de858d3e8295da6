# SPDX-License-Identifier: AGPL-3.0-or-later
"""References: each blob is held as often as its row says, by messages, the vault, the queue and letters
that are still spreading."""

from __future__ import annotations

import json
from array import array

import sqlalchemy as sa

from config.seal import Seal
from mailserver.store import schema
from mailserver.store.blobs import refer
from mailserver.store.verify.findings import Findings, Fix


def check_blobs(conn: sa.Connection, seal: Seal, found: Findings) -> None:
    """References, and summaries without a blob. ``conn`` is one snapshot."""
    streaming = conn.execution_options(yield_per=2000)
    top = conn.execute(sa.select(sa.func.max(schema.blob.c.blob))).scalar() or 0
    held = array("q", bytes(8 * (int(top) + 1)))
    missing: dict[int, int] = {}

    def count(blob: int, by: int) -> None:
        if blob <= top:
            held[blob] += by
        else:
            missing[blob] = missing.get(blob, 0) + by

    for column in schema.HOLDERS:
        for (blob,) in streaming.execute(sa.select(column)):
            count(blob, 1)
            found.vaulted += column.table is schema.vault
    for row in conn.execute(sa.select(schema.spread)):
        boxes = json.loads(seal.open(row.sealed_mailboxes, b"spread"))
        count(row.blob, len(boxes) - row.done)
    query = sa.select(schema.blob.c.blob, schema.blob.c.refs).order_by(schema.blob.c.blob)
    for blob, refs in streaming.execute(query):
        found.blobs += 1
        counted, held[blob] = held[blob], 0
        if refs != counted:
            found.add(
                "references", f"blob {blob}", f"refs is {refs}, counted {counted}", _add(blob, counted - refs)
            )
    for blob in range(int(top) + 1):
        if held[blob]:
            missing[blob] = held[blob]
    for blob, times in sorted(missing.items()):
        found.add("blob-missing", f"blob {blob}", f"named {times} times, not there")
    orphans = sa.select(schema.summary.c.blob).where(
        ~sa.exists().where(schema.blob.c.blob == schema.summary.c.blob)
    )
    for (blob,) in streaming.execute(orphans):
        found.add("summary-orphan", f"blob {blob}", "a summary of no blob", _drop_summary(blob))


def _add(blob: int, by: int) -> Fix:
    return lambda conn: refer(conn, blob, by)


def _drop_summary(blob: int) -> Fix:
    table = schema.summary
    return lambda conn: conn.execute(
        sa.delete(table).where(
            table.c.blob == blob, ~sa.exists().where(schema.blob.c.blob == schema.summary.c.blob)
        )
    )
