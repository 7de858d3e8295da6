# SPDX-License-Identifier: AGPL-3.0-or-later
"""After a restore: nothing a client remembers from between the backup and the loss may come true again.

UIDs and modseqs that were given after the backup are skipped over. The log then says that every UID of the gap
is gone and that every message changed: a client that synchronises (RFC 7162), whatever modseq it remembers,
forgets what was lost, fetches the flags of the rest, and keeps its cache of bodies. UIDVALIDITY stays.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from config.clock import now_us
from config.database import Database
from mailserver.accounts.schema import counter
from mailserver.store import changelog, flag_ranges, moving, schema
from mailserver.store.blobs import refer
from mailserver.store.listing import LAST_UID, rows
from mailserver.store.model import Ref

UIDS = 100_000
MODSEQS = 1_000_000_000
_NUMBERS = 1_000_000

_LATER_US = 3650 * 86_400_000_000


def fence(database: Database) -> int:
    """Skip numbers in every mailbox and hold the queue; returns the number of mailboxes. Nobody serves yet."""
    table = schema.mailbox
    with database.reading() as conn:
        boxes = [Ref(*row) for row in conn.execute(sa.select(table.c.agency, table.c.mailbox))]
    for ref in boxes:
        database.write(lambda conn, ref=ref: _fence(conn, ref))  # type: ignore[misc]

    def rest(conn: sa.Connection) -> None:
        conn.execute(
            sa.update(counter)
            .where(counter.c.kind.in_(["blob", "mailbox", "outbound", "spread", "submission"]))
            .values(next=counter.c.next + _NUMBERS)
        )
        # What waited then may have been sent since: a person decides (`congvan queue list`, `retry`).
        conn.execute(sa.update(schema.outbound).values(state="held", lease_until_us=None))
        # The same for held submissions whose time has passed: their senders see them waiting and decide.
        table, now = schema.submission, now_us()
        conn.execute(sa.update(table).where(table.c.release_us <= now).values(release_us=now + _LATER_US))
        conn.execute(sa.delete(schema.emptied))

    database.write(rest)
    return len(boxes)


def _fence(conn: sa.Connection, ref: Ref) -> None:
    table = schema.mailbox
    row = conn.execute(
        sa.update(table)
        .where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
        .values(uidnext=table.c.uidnext + UIDS, highestmodseq=table.c.highestmodseq + MODSEQS)
        .returning(table.c.uidnext, table.c.highestmodseq)
    ).one()
    message, late = schema.message, schema.flag_range
    flag_ranges.settle(conn, ref, [(1, LAST_UID)])
    conn.execute(sa.delete(late).where(late.c.agency == ref.agency, late.c.mailbox == ref.mailbox))
    conn.execute(
        sa.update(message)
        .where(message.c.agency == ref.agency, message.c.mailbox == ref.mailbox)
        .values(modseq=row.highestmodseq)
    )
    first_lost = row.uidnext - UIDS
    changelog.log_change(conn, ref, row.highestmodseq, [(first_lost, row.uidnext - 1)], "x")
    if first_lost > 1:
        changelog.log_change(conn, ref, row.highestmodseq, [(1, first_lost - 1)], "f")


def erase(database: Database, names: Iterable[bytes]) -> int:
    """Remove what was erased after the backup: its messages, its place in the vault, its key."""
    erased = 0
    for name in names:
        with database.reading() as conn:
            blob = conn.execute(sa.select(schema.blob.c.blob).where(schema.blob.c.name == name)).scalar()
        if blob is not None:
            database.write(lambda conn, blob=blob: _erase(conn, blob))  # type: ignore[misc]
            erased += 1
    return erased


def _erase(conn: sa.Connection, blob: int) -> None:
    message, vault = schema.message, schema.vault
    held = conn.execute(
        sa.select(message.c.agency, message.c.mailbox, message.c.uid).where(message.c.blob == blob)
    ).all()
    for row in held:
        ref = Ref(row.agency, row.mailbox)
        moving.remove(conn, ref, rows(conn, ref, row.uid, row.uid))
    kept = conn.execute(sa.delete(vault).where(vault.c.blob == blob)).rowcount
    if held or kept:
        refer(conn, blob, -(len(held) + kept), erased_us=now_us())
