# SPDX-License-Identifier: AGPL-3.0-or-later
"""A change of flags of thousands of neighbours, written as one range; their rows follow later.

A range counts for a row while its modseq is above the row's: whoever reads flags lays the mailbox's ranges over
the rows (`over`), and whoever changes rows one by one first brings them up to date (`settle`). Readers ask for
the ranges before the rows: a range that is settled in between is in the rows by then, one that comes in between
belongs to a change the reader has not heard of. The worker settles what is left (`settle_next`).
All functions of a connection; writers hold the mailbox's row.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from config.statement import Statement, insert
from mailserver.store import schema
from mailserver.store.mailboxes import NoSuchMailbox, lock
from mailserver.store.model import Ref, flagged

T = TypeVar("T", bound=tuple[Any, ...])

FEWEST = 2000
"""Fewer messages are changed in their rows: 2 ms."""
MOST_RANGES = 32
"""A mailbox has no more ranges than this, so that laying them over its rows stays cheap."""
SLICE = 2000
"""So many rows follow in one transaction of `settle_next`."""


class FlagRange(NamedTuple):
    """One change, ``how`` as in `mailserver.store.model.flagged`."""

    modseq: int
    first: int
    last: int
    how: str
    mask: int


_RANGES = Statement(
    sa.select(
        schema.flag_range.c.modseq,
        schema.flag_range.c.first_uid,
        schema.flag_range.c.last_uid,
        schema.flag_range.c.how,
        schema.flag_range.c.mask,
    )
    .where(
        schema.flag_range.c.agency == sa.bindparam("in_agency"),
        schema.flag_range.c.mailbox == sa.bindparam("in_mailbox"),
    )
    .order_by(schema.flag_range.c.modseq, schema.flag_range.c.first_uid)
)
_ADD = insert(schema.flag_range)


def of(conn: sa.Connection, ref: Ref) -> list[FlagRange]:
    """The ranges of a mailbox, oldest first; mostly none."""
    found = _RANGES.rows(conn, in_agency=ref.agency, in_mailbox=ref.mailbox)
    return [FlagRange(*row) for row in found] if found else []


def over(ranges: Sequence[FlagRange], rows: list[T], make: Callable[[tuple[Any, ...]], T]) -> list[T]:
    """``rows``, which begin with UID, flags, modseq and rise by UID, as the ranges make them."""
    if not ranges or not rows:
        return rows
    uids = [row[0] for row in rows]
    rows = list(rows)
    for modseq, first, last, how, mask in ranges:
        for at in range(bisect_left(uids, first), bisect_right(uids, last)):
            row = rows[at]
            if row[2] < modseq:
                rows[at] = make((row[0], flagged(row[1], how, mask), modseq, *row[3:]))
    return rows


_DROP = Statement(
    sa.delete(schema.flag_range).where(
        schema.flag_range.c.agency == sa.bindparam("in_agency"),
        schema.flag_range.c.mailbox == sa.bindparam("in_mailbox"),
        schema.flag_range.c.first_uid >= sa.bindparam("first"),
        schema.flag_range.c.last_uid <= sa.bindparam("last"),
        schema.flag_range.c.mask == sa.bindparam("of_mask"),
        schema.flag_range.c.how != sa.literal_column("'replace'"),
    )
)


def over_columns(
    ranges: Sequence[FlagRange], uids: array[int], flags: array[int], modseqs: array[int]
) -> None:
    """`over` for arrays, in place: a range that is newer than all it covers is laid over them at once."""
    for modseq, first, last, how, mask in ranges:
        here = slice(bisect_left(uids, first), bisect_right(uids, last))
        if here.start < here.stop and max(modseqs[here]) < modseq:
            change(flags, modseqs, here, how, mask, modseq)
            continue
        for at in range(here.start, here.stop):
            if modseqs[at] < modseq:
                flags[at], modseqs[at] = flagged(flags[at], how, mask), modseq


def change(flags: array[int], modseqs: array[int], here: slice, how: str, mask: int, modseq: int) -> None:
    """Change the flags of neighbours, in place."""
    flags[here] = changed(flags[here], how, mask)
    modseqs[here] = array("q", [modseq]) * (here.stop - here.start)


def changed(flags: array[int], how: str, mask: int) -> array[int]:
    """All these flags after a change."""
    new = {one: flagged(one, how, mask) for one in set(flags)}
    if len(new) < 2:
        return array("q", new.values()) * len(flags)
    if sys.byteorder == "big" or max(*new, *new.values()) > 255:  # with keywords
        return array("q", map(new.__getitem__, flags))
    octets = bytearray(
        flags.itemsize * len(flags)
    )  # the lowest octet of each is all there is: ten times faster
    octets[:: flags.itemsize] = flags.tobytes()[:: flags.itemsize].translate(
        bytes([new.get(one, 0) for one in range(256)])
    )
    return array("q", bytes(octets))


def suit(conn: sa.Connection, ref: Ref, count: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a change of ``count`` messages is worth ranges: many neighbours, and the mailbox has few ranges yet."""
    if count < FEWEST or len(spans) > MOST_RANGES:
        return False
    return len(of(conn, ref)) + len(spans) <= MOST_RANGES


def add(
    conn: sa.Connection, ref: Ref, modseq: int, spans: Sequence[tuple[int, int]], how: str, mask: int
) -> None:
    """Write a change as ranges; ``modseq`` is the mailbox's newest.

    Adding and removing the same flags of the same messages before is undone by it, so those ranges go.
    """
    if how != "replace":
        old = {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "of_mask": mask}
        _DROP.many(conn, [{**old, "first": first, "last": last} for first, last in spans])
    here = {"agency": ref.agency, "mailbox": ref.mailbox, "modseq": modseq, "how": how, "mask": mask}
    _ADD.many(conn, [{**here, "first_uid": first, "last_uid": last} for first, last in spans])


def settle(conn: sa.Connection, ref: Ref, spans: Sequence[tuple[int, int]]) -> None:
    """Bring the rows with UIDs in these closed ranges up to date; the ranges stay for the others."""
    for one in of(conn, ref):
        touched = [(max(first, one.first), min(last, one.last)) for first, last in spans]
        _apply(conn, ref, one, [span for span in touched if span[0] <= span[1]])


def settle_next(conn: sa.Connection, ref: Ref) -> bool:
    """Bring up to `SLICE` rows up to date, oldest range first; whether there is more. Takes the mailbox's row."""
    try:
        lock(conn, ref)
    except NoSuchMailbox:
        return False
    ranges = of(conn, ref)
    if not ranges:
        return False
    one, table = ranges[0], schema.flag_range
    last = min(one.last, one.first + SLICE - 1)
    _apply(conn, ref, one, [(one.first, last)])
    here = sa.and_(
        table.c.agency == ref.agency,
        table.c.mailbox == ref.mailbox,
        table.c.modseq == one.modseq,
        table.c.first_uid == one.first,
    )
    if last == one.last:
        conn.execute(sa.delete(table).where(here))
        return len(ranges) > 1
    conn.execute(sa.update(table).where(here).values(first_uid=last + 1))
    return True


def unsettled(conn: sa.Connection) -> list[Ref]:
    """The mailboxes that have ranges."""
    table = schema.flag_range
    return [Ref(*row) for row in conn.execute(sa.select(table.c.agency, table.c.mailbox).distinct())]


def _apply(conn: sa.Connection, ref: Ref, one: FlagRange, spans: Sequence[tuple[int, int]]) -> None:
    bits = ~one.mask if one.how == "remove" else one.mask
    here = {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "to_modseq": one.modseq, "bits": bits}
    if spans:
        _APPLY[one.how].many(conn, [{**here, "first": first, "last": last} for first, last in spans])


def _applying(flags: sa.ColumnElement[int]) -> Statement:
    table, modseq = schema.message, sa.bindparam("to_modseq", type_=sa.BigInteger)
    return Statement(
        sa.update(table)
        .where(
            table.c.agency == sa.bindparam("in_agency"),
            table.c.mailbox == sa.bindparam("in_mailbox"),
            table.c.uid.between(sa.bindparam("first"), sa.bindparam("last")),
            table.c.modseq < modseq,
        )
        .values(flags=flags, modseq=modseq)
    )


_BITS: sa.BindParameter[int] = sa.bindparam("bits", type_=sa.BigInteger)
_APPLY = {
    "add": _applying(schema.message.c.flags.bitwise_or(_BITS)),
    "remove": _applying(schema.message.c.flags.bitwise_and(_BITS)),
    "replace": _applying(_BITS),
}
