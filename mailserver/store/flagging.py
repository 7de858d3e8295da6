# SPDX-License-Identifier: AGPL-3.0-or-later
"""Flags of messages, many at a time (RFC 9051 §6.4.6, RFC 7162 §3.1.3). Functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from config.statement import Statement
from mailserver.store import schema
from mailserver.store.changelog import advance, log_change
from mailserver.store.listing import marks
from mailserver.store.mailboxes import lock
from mailserver.store.model import SEEN, Ref, ranges, spans_of

SLICE = 5000
"""So many messages are flagged by one transaction: about 4 ms of work, as neighbours go by one statement."""


class Foreseen(NamedTuple):
    """What a change of flags does to a mailbox that is still as it was at ``modseq``: who works from arrays in memory
    knows it before, and nothing is read. ``changed``: rising UIDs. ``unseen``: by how much that count changes."""

    modseq: int
    changed: Sequence[int]
    unseen: int


class Flagged(NamedTuple):
    """UIDs whose flags changed, with ``modseq`` (0: none did), and refused ones; ``foreseen``: as was foreseen."""

    changed: Sequence[int]
    refused: Sequence[int]
    modseq: int
    foreseen: bool


def set_flags(
    conn: sa.Connection,
    ref: Ref,
    uids: Sequence[int],
    how: str,
    mask: int,
    unchanged_since: int | None,
    foreseen: Foreseen | None = None,
) -> Flagged:
    """``add``, ``remove`` or ``replace`` flag bits. At most `SLICE` UIDs.

    Refused are those changed after ``unchanged_since`` (RFC 7162 §3.1.3). Neighbouring messages are changed by one
    statement, and are one range of the change log.
    """
    now = lock(conn, ref)
    changed: Sequence[int]
    refused: Sequence[int] = ()
    if foreseen is not None and foreseen.modseq == now:
        changed, unseen, known = foreseen.changed, foreseen.unseen, True
    else:
        changed, refused, unseen = _read(conn, ref, uids, how, mask, unchanged_since)
        known = False
    if not changed:
        return Flagged(changed, refused, 0, known)
    modseq = advance(conn, ref, unseen=unseen)
    spans = ranges(changed)
    here = {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "new_modseq": modseq}
    here["bits"] = ~mask if how == "remove" else mask
    _SET[how].many(conn, [{**here, "first": first, "last": last} for first, last in spans])
    log_change(conn, ref, modseq, spans, "f", mask)
    return Flagged(changed, refused, modseq, known)


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


def flagged(flags: int, how: str, mask: int) -> int:
    """The flags after a change."""
    if how == "add":
        return flags | mask
    return flags & ~mask if how == "remove" else mask
