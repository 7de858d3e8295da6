# SPDX-License-Identifier: AGPL-3.0-or-later
"""Messages copied, moved, expunged. All functions of a connection, in slices.

Every change takes the mailbox's row (its lock), gives one new modseq, keeps the counters and writes
the change log in the same transaction (DESIGN 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from config.clock import now_us
from config.statement import Statement
from mailserver.store import flag_ranges, schema
from mailserver.store.blobs import add_references
from mailserver.store.changelog import advance, log_change
from mailserver.store.listing import LAST_UID, rows
from mailserver.store.mailboxes import NOBODY, NoSuchMailbox, lock
from mailserver.store.messages import ADD
from mailserver.store.model import DELETED, SEEN, Ref, Row, ranges, spans_of

SLICE = 1000
"""No write transaction touches more rows than this on its own (DESIGN 4.2)."""


def size(conn: sa.Connection, ref: Ref, uids: Sequence[int]) -> int:
    """Bytes of these messages together."""
    wanted = sorted(set(uids))
    among = set(wanted)
    return sum(
        row.size
        for first, last in spans_of(wanted)
        for row in rows(conn, ref, first, last)
        if row.uid in among
    )


def copy(conn: sa.Connection, source: Ref, uids: Sequence[int], target: Ref) -> list[tuple[int, int]]:
    """Copy messages; returns pairs (source UID, new UID). Gone UIDs are left out. At most `SLICE`."""
    for ref in sorted({source, target}):
        lock(conn, ref)
    return _copy(conn, _chosen(conn, source, uids), target, refs=1)


def move(conn: sa.Connection, source: Ref, uids: Sequence[int], target: Ref) -> list[tuple[int, int]]:
    """Move messages (RFC 6851); returns pairs (source UID, new UID). At most `SLICE`."""
    for ref in sorted({source, target}):
        lock(conn, ref)
    chosen = _chosen(conn, source, uids)
    pairs = _copy(conn, chosen, target, refs=0)
    _remove(conn, source, chosen, keep=False)
    return pairs


def expunge(conn: sa.Connection, ref: Ref, uids: Sequence[int] | None) -> list[int]:
    """Move messages flagged \\Deleted (of ``uids`` only, when given) to the vault; returns their UIDs.

    At most `SLICE` a call: call again while it returns that many. Changes of flags that rows have still to follow
    should have been settled before (`flag_ranges.settle_next`): the rest of them is settled here.
    """
    lock(conn, ref)
    if uids is None:
        flag_ranges.settle(conn, ref, [(1, LAST_UID)])
        found = _FLAGGED_DELETED.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, most=SLICE)
        chosen = list(map(Row._make, found))
    else:
        chosen = [row for row in _chosen(conn, ref, uids) if row.flags & DELETED]
    _remove(conn, ref, chosen, keep=True)
    return [row.uid for row in chosen]


def clear(conn: sa.Connection, ref: Ref) -> int:
    """Move up to `SLICE` messages of a mailbox that is being deleted to the vault; returns how many."""
    lock(conn, ref)
    chosen = rows(conn, ref, limit=SLICE)
    _remove(conn, ref, chosen, keep=True)
    return len(chosen)


def remove(conn: sa.Connection, ref: Ref, chosen: list[Row]) -> None:
    """Take rows out for good; their references are the caller's to drop."""
    _remove(conn, ref, chosen, keep=False)


def _chosen(conn: sa.Connection, ref: Ref, uids: Sequence[int]) -> list[Row]:
    wanted = sorted(set(uids))[:SLICE]
    among = set(wanted)
    return [
        row for first, last in spans_of(wanted) for row in rows(conn, ref, first, last) if row.uid in among
    ]


def _copy(conn: sa.Connection, chosen: list[Row], target: Ref, refs: int) -> list[tuple[int, int]]:
    if not chosen:
        return []
    table, count = schema.mailbox, len(chosen)
    row = conn.execute(
        sa.update(table)
        .where(table.c.agency == target.agency, table.c.mailbox == target.mailbox, table.c.owner != NOBODY)
        .values(
            uidnext=table.c.uidnext + count,
            highestmodseq=table.c.highestmodseq + 1,
            exists=table.c.exists + count,
            unseen=table.c.unseen + sum(1 for one in chosen if not one.flags & SEEN),
            size=table.c.size + sum(one.size for one in chosen),
        )
        .returning(table.c.uidnext, table.c.highestmodseq)
    ).first()
    if row is None:
        raise NoSuchMailbox
    first, now = int(row.uidnext) - count, now_us()
    ADD.many(
        conn,
        [
            {
                "agency": target.agency,
                "mailbox": target.mailbox,
                "uid": first + position,
                "blob": one.blob,
                "modseq": row.highestmodseq,
                "flags": one.flags & 0xFF,
                "internaldate_us": one.internaldate_us,
                "size": one.size,
                "savedate_us": now,
            }
            for position, one in enumerate(chosen)
        ],
    )
    log_change(conn, target, row.highestmodseq, [(first, first + count - 1)], "n")
    if refs:
        add_references(conn, [one.blob for one in chosen])
    return [(one.uid, first + position) for position, one in enumerate(chosen)]


def _remove(conn: sa.Connection, ref: Ref, chosen: list[Row], *, keep: bool) -> None:
    """Take rows out; ``keep``: into the vault, which takes over their references."""
    if not chosen:
        return
    modseq = advance(
        conn,
        ref,
        exists=-len(chosen),
        unseen=-sum(1 for row in chosen if not row.flags & SEEN),
        size=-sum(row.size for row in chosen),
    )
    gone = ranges([row.uid for row in chosen])
    spans = [
        {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "first": first, "last": last}
        for first, last in gone
    ]
    if keep:
        flag_ranges.settle(conn, ref, gone)
        now = now_us()
        _KEEP.many(conn, [{**one, "now": now} for one in spans])
    _DELETE.many(conn, spans)
    log_change(conn, ref, modseq, gone, "x")


_FLAGGED_DELETED = Statement(
    sa.select(
        schema.message.c.uid,
        schema.message.c.flags,
        schema.message.c.modseq,
        schema.message.c.blob,
        schema.message.c.size,
        schema.message.c.internaldate_us,
    )
    .where(
        schema.message.c.agency == sa.bindparam("in_agency"),
        schema.message.c.mailbox == sa.bindparam("in_mailbox"),
        schema.message.c.flags.bitwise_and(sa.literal_column(str(DELETED))) != sa.literal_column("0"),
    )
    .order_by(schema.message.c.uid)
    .limit(sa.bindparam("most"))
    .offset(sa.literal_column("0"))
)
_SPAN = sa.and_(
    schema.message.c.agency == sa.bindparam("in_agency"),
    schema.message.c.mailbox == sa.bindparam("in_mailbox"),
    schema.message.c.uid.between(sa.bindparam("first"), sa.bindparam("last")),
)
_DELETE = Statement(sa.delete(schema.message).where(_SPAN))
_KEEP = Statement(
    sa.insert(schema.vault).from_select(
        [one.name for one in schema.vault.columns],
        sa.select(
            schema.message.c.agency,
            schema.message.c.mailbox,
            schema.message.c.uid,
            sa.func.coalesce(schema.mailbox.c.buried_owner, schema.mailbox.c.owner),
            schema.message.c.blob,
            schema.message.c.flags,
            schema.message.c.internaldate_us,
            schema.message.c.size,
            sa.cast(sa.bindparam("now"), sa.BigInteger),
        )
        .join(
            schema.mailbox,
            sa.and_(
                schema.mailbox.c.agency == schema.message.c.agency,
                schema.mailbox.c.mailbox == schema.message.c.mailbox,
            ),
        )
        .where(_SPAN),
    )
)
