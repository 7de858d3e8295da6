# SPDX-License-Identifier: AGPL-3.0-or-later
"""Counters and change log of a mailbox: one modseq for a change, the ranges of UIDs it touched (DESIGN 4.4)."""

from __future__ import annotations

import sqlalchemy as sa

from config.statement import Statement, insert
from mailserver.store import schema
from mailserver.store.mailboxes import NoSuchMailbox
from mailserver.store.model import Change, Ref

KINDS = {
    "n": ("new", ""),
    "f": ("flags", ""),
    "f+": ("flags", "add"),
    "f-": ("flags", "remove"),
    "f=": ("flags", "replace"),
    "x": ("expunged", ""),
}
FLAGS = {how: letter for letter, (kind, how) in KINDS.items() if kind == "flags"}
"""The letters of changes of flags."""

ADD_CHANGE = insert(schema.change)

_CHANGES = Statement(
    sa.select(
        schema.change.c.modseq,
        schema.change.c.first_uid,
        schema.change.c.last_uid,
        schema.change.c.kind,
        schema.change.c.mask,
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
    return [Change(modseq, first, last, *KINDS[kind], mask) for modseq, first, last, kind, mask in found]


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
    """Write ranges of UIDs into the change log: ``kind`` is one of `KINDS`."""
    ADD_CHANGE.many(
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
