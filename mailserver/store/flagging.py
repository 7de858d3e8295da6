# SPDX-License-Identifier: AGPL-3.0-or-later
"""Flags of messages, many at a time (RFC 9051 §6.4.6, RFC 7162 §3.1.3). Functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from config.statement import Statement
from mailserver.store import flag_ranges, schema
from mailserver.store.changelog import FLAGS, advance, log_change
from mailserver.store.listing import marks
from mailserver.store.mailboxes import lock
from mailserver.store.model import SEEN, Ref, flagged, ranges, spans_of

SLICE = 5000
"""So many rows are changed by one transaction: about 4 ms of work, as neighbours go by one statement."""
AT_ONCE = 50_000
"""So many messages are changed by one transaction when they are few ranges (`flag_ranges`)."""


class Foreseen(NamedTuple):
    """What a change of flags does to a mailbox that is still as it was at ``modseq``: who works from arrays in memory
    knows it before, and nothing is read. ``changed``: rising UIDs. ``unseen``: by how much that count changes."""

    modseq: int
    changed: Sequence[int]
    unseen: int


class Flagged(NamedTuple):
    """UIDs whose flags changed, with ``modseq`` (0: none did), and refused ones; ``foreseen``: as was foreseen.
    ``taken``: so many of the UIDs were dealt with; the rest is to be asked for again."""

    changed: Sequence[int]
    refused: Sequence[int]
    modseq: int
    foreseen: bool
    taken: int


def set_flags(
    conn: sa.Connection,
    ref: Ref,
    uids: Sequence[int],
    how: str,
    mask: int,
    unchanged_since: int | None,
    foreseen: Foreseen | None = None,
) -> Flagged:
    """``add``, ``remove`` or ``replace`` flag bits. At most `SLICE` UIDs, or `AT_ONCE` of few foreseen ranges.

    Refused are those changed after ``unchanged_since`` (RFC 7162 §3.1.3). Neighbouring messages are changed by one
    statement or, when they are thousands, by a range that their rows follow later; they are one range of the change log.
    """
    now = lock(conn, ref)
    changed: Sequence[int] = () if foreseen is None else foreseen.changed
    refused: Sequence[int] = ()
    spans = ranges(changed)
    as_ranges = flag_ranges.suit(conn, ref, len(changed), spans)
    if foreseen is not None and foreseen.modseq == now and (as_ranges or len(uids) <= SLICE):
        unseen, known = foreseen.unseen, True
    else:
        uids, known = uids[:SLICE], False
        changed, refused, unseen = _read(conn, ref, uids, how, mask, unchanged_since)
        spans = ranges(changed)
        as_ranges = flag_ranges.suit(conn, ref, len(changed), spans)
    if not changed:
        return Flagged(changed, refused, 0, known, len(uids))
    modseq = advance(conn, ref, unseen=unseen)
    if as_ranges:
        flag_ranges.add(conn, ref, modseq, spans, how, mask)
    else:
        flag_ranges.settle(conn, ref, spans)
        here = {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "new_modseq": modseq}
        here["bits"] = ~mask if how == "remove" else mask
        _SET[how].many(conn, [{**here, "first": first, "last": last} for first, last in spans])
    log_change(conn, ref, modseq, spans, FLAGS[how], mask)
    return Flagged(changed, refused, modseq, known, len(uids))


def _read(
    conn: sa.Connection, ref: Ref, uids: Sequence[int], how: str, mask: int, unchanged_since: int | None
) -> tuple[list[int], list[int], int]:
    """(changed, refused, by how much ``unseen`` changes), from the rows as they are."""
    changed: list[int] = []
    refused: list[int] = []
    unseen = 0
    wanted = sorted(set(uids))[:SLICE]
    among = set(wanted)
    for first, last in spans_of(wanted):
        for uid, flags, modseq in marks(conn, ref, first, last):
            if uid not in among:
                continue
            if unchanged_since is not None and modseq > unchanged_since:
                refused.append(uid)
                continue
            new = flagged(flags, how, mask)
            if new != flags:
                unseen += (not new & SEEN) - (not flags & SEEN)
                changed.append(uid)
    return changed, refused, unseen


def _setting(flags: sa.ColumnElement[int]) -> Statement:
    table = schema.message
    return Statement(
        sa.update(table)
        .where(
            table.c.agency == sa.bindparam("in_agency"),
            table.c.mailbox == sa.bindparam("in_mailbox"),
            table.c.uid.between(sa.bindparam("first"), sa.bindparam("last")),
        )
        .values(flags=flags, modseq=sa.bindparam("new_modseq"))
    )


_BITS: sa.BindParameter[int] = sa.bindparam("bits", type_=sa.BigInteger)
_SET = {
    "add": _setting(schema.message.c.flags.bitwise_or(_BITS)),
    "remove": _setting(schema.message.c.flags.bitwise_and(_BITS)),
    "replace": _setting(_BITS),
}
