# SPDX-License-Identifier: AGPL-3.0-or-later
"""Messages in mailboxes: put in, flag, copy, move, expunge, read. All functions of a connection.

Every change takes the mailbox's row (its lock), gives one new modseq, keeps the counters and writes
the change log in the same transaction (DESIGN 4.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from config.clock import now_us
from config.statement import Statement, insert
from mailserver.store import schema
from mailserver.store.blobs import add_references
from mailserver.store.listing import spanned
from mailserver.store.mailboxes import NOBODY, NoSuchMailbox, lock
from mailserver.store.model import DELETED, SEEN, Change, Ref, Row, ranges

SLICE = 1000
"""No write transaction touches more rows than this on its own (DESIGN 4.2)."""

_KINDS = {"n": "new", "f": "flags", "x": "expunged"}


@dataclass(frozen=True, slots=True)
class Put:
    """One message for one mailbox."""

    ref: Ref
    blob: int
    flags: int
    internaldate_us: int
    size: int


_TAKE_UID = Statement(
    sa.update(schema.mailbox)
    .where(
        schema.mailbox.c.agency == sa.bindparam("in_agency"),
        schema.mailbox.c.mailbox == sa.bindparam("in_mailbox"),
        schema.mailbox.c.owner != sa.literal_column("0"),
    )
    .values(
        uidnext=schema.mailbox.c.uidnext + sa.literal_column("1"),
        highestmodseq=schema.mailbox.c.highestmodseq + sa.literal_column("1"),
        exists=schema.mailbox.c.exists + sa.literal_column("1"),
        unseen=schema.mailbox.c.unseen + sa.bindparam("fresh", type_=sa.BigInteger),
        size=schema.mailbox.c.size + sa.bindparam("bytes", type_=sa.BigInteger),
    )
    .returning(schema.mailbox.c.uidnext, schema.mailbox.c.highestmodseq)
)
_ADD = insert(schema.message)
_ADD_CHANGE = insert(schema.change)


class Place(NamedTuple):
    """A UID and modseq taken for a message that `fill` puts there in the same transaction."""

    ref: Ref
    uid: int
    modseq: int


def put(conn: sa.Connection, one: Put) -> int:
    """Add a message whose blob reference is already counted; returns its UID. Raises `NoSuchMailbox`."""
    uids = put_all(conn, [one])
    if uids[0] is None:
        raise NoSuchMailbox
    return uids[0]


def put_all(conn: sa.Connection, new: Sequence[Put]) -> list[int | None]:
    """`put` of several, in their order; a mailbox that is gone gives None and gets nothing."""
    places = [take(conn, one.ref, one.flags, one.size) for one in new]
    fill(conn, [(place, one) for place, one in zip(places, new, strict=True) if place is not None])
    return [None if place is None else place.uid for place in places]


def take(conn: sa.Connection, ref: Ref, flags: int, size: int) -> Place | None:
    """Lock a mailbox and take its next UID; None when it is gone.

    Before the blob's reference is counted: locks go mailbox, blob, counters.
    """
    row = _TAKE_UID.row(
        conn, in_agency=ref.agency, in_mailbox=ref.mailbox, fresh=0 if flags & SEEN else 1, bytes=size
    )
    return None if row is None else Place(ref, int(row[0]) - 1, int(row[1]))


def must_take(conn: sa.Connection, ref: Ref, flags: int, size: int) -> Place:
    """`take`. Raises `NoSuchMailbox`."""
    place = take(conn, ref, flags, size)
    if place is None:
        raise NoSuchMailbox
    return place


def fill(conn: sa.Connection, new: Sequence[tuple[Place, Put]]) -> None:
    """Put messages whose blob references are already counted into the places taken for them."""
    added: list[dict[str, int]] = []
    changes: list[dict[str, int | str]] = []
    now = now_us()
    for place, one in new:
        uid = place.uid
        where = {"agency": place.ref.agency, "mailbox": place.ref.mailbox, "modseq": place.modseq}
        added.append(
            {
                **where,
                "uid": uid,
                "blob": one.blob,
                "flags": one.flags,
                "internaldate_us": one.internaldate_us,
                "size": one.size,
                "savedate_us": now,
            }
        )
        changes.append({**where, "first_uid": uid, "last_uid": uid, "kind": "n", "mask": 0})
    if added:
        _ADD.many(conn, added)
        _ADD_CHANGE.many(conn, changes)


def rows(
    conn: sa.Connection, ref: Ref, first: int = 1, last: int | None = None, limit: int | None = None
) -> list[Row]:
    """The message rows of a mailbox with UIDs from ``first`` to ``last``, by UID."""
    table = schema.message
    query = (
        sa.select(
            table.c.uid, table.c.flags, table.c.modseq, table.c.blob, table.c.size, table.c.internaldate_us
        )
        .where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox, table.c.uid >= first)
        .order_by(table.c.uid)
        .limit(limit)
    )
    if last is not None:
        query = query.where(table.c.uid <= last)
    return [Row(*row) for row in conn.execute(query)]


def newest(conn: sa.Connection, ref: Ref, count: int, before: int | None = None) -> list[Row]:
    """The last ``count`` rows of a mailbox (below UID ``before``), newest first."""
    table = schema.message
    query = (
        sa.select(
            table.c.uid, table.c.flags, table.c.modseq, table.c.blob, table.c.size, table.c.internaldate_us
        )
        .where(table.c.agency == ref.agency, table.c.mailbox == ref.mailbox)
        .order_by(table.c.uid.desc())
        .limit(count)
    )
    if before is not None:
        query = query.where(table.c.uid < before)
    return [Row(*row) for row in conn.execute(query)]


def count_flagged(conn: sa.Connection, ref: Ref, mask: int) -> int:
    """How many messages have a flag of ``mask``."""
    table = schema.message
    query = sa.select(sa.func.count()).where(
        table.c.agency == ref.agency, table.c.mailbox == ref.mailbox, table.c.flags.bitwise_and(mask) != 0
    )
    return int(conn.execute(query).scalar() or 0)


_CHANGES = Statement(
    sa.select(
        schema.change.c.modseq, schema.change.c.first_uid, schema.change.c.last_uid, schema.change.c.kind
    )
    .where(
        schema.change.c.agency == sa.bindparam("in_agency"),
        schema.change.c.mailbox == sa.bindparam("in_mailbox"),
        schema.change.c.modseq > sa.bindparam("since"),
    )
    .order_by(schema.change.c.modseq, schema.change.c.first_uid)
)


def changes(conn: sa.Connection, ref: Ref, since: int) -> list[Change]:
    """What happened after modseq ``since``, in order."""
    found = _CHANGES.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox, since=since)
    return [Change(modseq, first, last, _KINDS[kind]) for modseq, first, last, kind in found]


def spans_of(wanted: list[int]) -> list[tuple[int, int]]:
    """What to read for these rising UIDs: one span when they lie close together, else their ranges."""
    if wanted and wanted[-1] - wanted[0] < 4 * len(wanted):
        return [(wanted[0], wanted[-1])]
    return ranges(wanted)


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

    At most `SLICE` a call: call again while it returns that many.
    """
    lock(conn, ref)
    table = schema.message
    if uids is None:
        query = (
            sa.select(
                table.c.uid,
                table.c.flags,
                table.c.modseq,
                table.c.blob,
                table.c.size,
                table.c.internaldate_us,
            )
            .where(
                table.c.agency == ref.agency,
                table.c.mailbox == ref.mailbox,
                table.c.flags.bitwise_and(DELETED) != 0,
            )
            .order_by(table.c.uid)
            .limit(SLICE)
        )
        chosen = [Row(*row) for row in conn.execute(query)]
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
        row for first, last in spans_of(wanted) for row in spanned(conn, ref, first, last) if row.uid in among
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
    _ADD.many(
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
        now = now_us()
        _KEEP.many(conn, [{**one, "now": now} for one in spans])
    _DELETE.many(conn, spans)
    log_change(conn, ref, modseq, gone, "x")


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


_ADVANCE = Statement(
    sa.update(schema.mailbox)
    .where(
        schema.mailbox.c.agency == sa.bindparam("in_agency"),
        schema.mailbox.c.mailbox == sa.bindparam("in_mailbox"),
    )
    .values(
        highestmodseq=schema.mailbox.c.highestmodseq + sa.literal_column("1"),
        exists=schema.mailbox.c.exists + sa.bindparam("by_exists", type_=sa.BigInteger),
        unseen=schema.mailbox.c.unseen + sa.bindparam("by_unseen", type_=sa.BigInteger),
        size=schema.mailbox.c.size + sa.bindparam("by_size", type_=sa.BigInteger),
    )
    .returning(schema.mailbox.c.highestmodseq)
)


def advance(conn: sa.Connection, ref: Ref, *, exists: int = 0, unseen: int = 0, size: int = 0) -> int:
    """Change the counters of a mailbox and give it a new modseq. Raises `NoSuchMailbox`."""
    row = _ADVANCE.row(
        conn,
        in_agency=ref.agency,
        in_mailbox=ref.mailbox,
        by_exists=exists,
        by_unseen=unseen,
        by_size=size,
    )
    if row is None:
        raise NoSuchMailbox
    return int(row[0])


def log_change(
    conn: sa.Connection, ref: Ref, modseq: int, spans: list[tuple[int, int]], kind: str, mask: int = 0
) -> None:
    """Write ranges of UIDs into the change log: ``kind`` n, f or x."""
    _ADD_CHANGE.many(
        conn,
        [
            {
                "agency": ref.agency,
                "mailbox": ref.mailbox,
                "modseq": modseq,
                "first_uid": first,
                "last_uid": last,
                "kind": kind,
                "mask": mask,
            }
            for first, last in spans
        ],
    )
