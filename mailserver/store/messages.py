# SPDX-License-Identifier: AGPL-3.0-or-later
"""Messages put into mailboxes. All functions of a connection; `listing` reads them, `moving` has what leaves.

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
from mailserver.store.changelog import ADD_CHANGE
from mailserver.store.mailboxes import NoSuchMailbox
from mailserver.store.model import SEEN, Ref


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
ADD = insert(schema.message)


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
        ADD.many(conn, added)
        ADD_CHANGE.many(conn, changes)
