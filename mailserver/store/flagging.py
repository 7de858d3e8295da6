# SPDX-License-Identifier: AGPL-3.0-or-later
"""Flags of messages, many at a time (RFC 9051 §6.4.6, RFC 7162 §3.1.3). Functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from config.statement import Statement
from mailserver.store import schema
from mailserver.store.changelog import advance, log_change
from mailserver.store.listing import marks
from mailserver.store.mailboxes import lock
from mailserver.store.model import SEEN, Ref, ranges, spans_of

SLICE = 5000
"""So many messages are flagged by one transaction: about 4 ms of work, as neighbours go by one statement."""


def set_flags(
    conn: sa.Connection, ref: Ref, uids: Sequence[int], how: str, mask: int, unchanged_since: int | None
) -> tuple[list[int], list[int]]:
    """``add``, ``remove`` or ``replace`` flag bits; returns (changed, refused) UIDs.

    Refused are those changed after ``unchanged_since`` (RFC 7162 §3.1.3). At most `SLICE` UIDs. Neighbouring
    messages are changed by one statement, and are one range of the change log.
    """
    lock(conn, ref)
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
            new = _flagged(flags, how, mask)
            if new != flags:
                unseen += (not new & SEEN) - (not flags & SEEN)
                changed.append(uid)
    if changed:
        modseq = advance(conn, ref, unseen=unseen)
        spans = ranges(changed)
        here = {"in_agency": ref.agency, "in_mailbox": ref.mailbox, "new_modseq": modseq}
        here["bits"] = ~mask if how == "remove" else mask
        _SET[how].many(conn, [{**here, "first": first, "last": last} for first, last in spans])
        log_change(conn, ref, modseq, spans, "f", mask)
    return changed, refused


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


def _flagged(flags: int, how: str, mask: int) -> int:
    if how == "add":
        return flags | mask
    return flags & ~mask if how == "remove" else mask
