# SPDX-License-Identifier: AGPL-3.0-or-later
"""The vault: expunged messages and deleted mailboxes, restorable for a while, then erased.

An expunged message hands its blob reference to its vault row. Purging drops the reference; with the last one
the key goes, and the blob's name is noted, so that a backup restored later erases it again (DESIGN 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from config.clock import now_us
from config.seal import Seal
from mailserver.accounts.model import AccountRef
from mailserver.store import mailboxes, messages, moving, schema
from mailserver.store.blobs import refer
from mailserver.store.model import DELETED, INBOX, Ref

SLICE = 200
_DAY_US = 86_400_000_000
_REMEMBER_ERASED_DAYS = 400


@dataclass(frozen=True, slots=True)
class Kept:
    """One expunged message. ``mailbox`` is the name it had; times are µs UTC, ``size`` in bytes."""

    ref: Ref
    uid: int
    mailbox: str
    blob: int
    flags: int
    size: int
    internaldate_us: int
    expunged_us: int


def of_owner(
    conn: sa.Connection,
    seal: Seal,
    owner: AccountRef,
    *,
    since_us: int = 0,
    before: tuple[int, Ref, int] | None = None,
    limit: int = 500,
) -> list[Kept]:
    """What an account lost since ``since_us``, newest first; ``before``: the last one of the page before."""
    v = schema.vault.c
    key = sa.tuple_(v.expunged_us, v.agency, v.mailbox, v.uid)
    query = (
        sa.select(schema.vault)
        .where(v.agency == owner.agency, v.owner == owner.account, v.expunged_us >= since_us)
        .order_by(v.expunged_us.desc(), v.agency.desc(), v.mailbox.desc(), v.uid.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(key < sa.tuple_(*map(sa.literal, (before[0], *before[1], before[2]))))
    rows = conn.execute(query).all()
    names: dict[Ref, str] = {}
    for row in rows:
        ref = Ref(row.agency, row.mailbox)
        if ref not in names:
            names[ref] = mailboxes.name_of(conn, seal, ref)
    return [
        Kept(
            Ref(row.agency, row.mailbox),
            row.uid,
            names[Ref(row.agency, row.mailbox)],
            row.blob,
            row.flags,
            row.size,
            row.internaldate_us,
            row.expunged_us,
        )
        for row in rows
    ]


def restore(conn: sa.Connection, seal: Seal, owner: AccountRef, wanted: Sequence[Kept]) -> list[Ref]:
    """Put messages back where they were (into INBOX when the mailbox was deleted), with a new UID each.

    At most `SLICE`. Returns the mailboxes that changed. What was purged meanwhile is left out.
    """
    by_place: dict[Ref, list[Kept]] = {}
    for one in wanted[:SLICE]:
        by_place.setdefault(one.ref, []).append(one)
    inbox = mailboxes.find(conn, seal, owner, INBOX)
    targets: dict[Ref, Ref] = {}
    for source in by_place:
        alive = mailboxes.owner_of(conn, source)
        target = source if alive == owner.account else inbox
        if target is None:
            raise mailboxes.NoSuchMailbox
        targets[source] = target
    changed: list[Ref] = []
    for source in sorted(by_place, key=lambda one: targets[one]):
        mailboxes.lock(conn, targets[source])
        for one in by_place[source]:
            v = schema.vault.c
            gone = conn.execute(
                sa.delete(schema.vault).where(
                    v.agency == source.agency,
                    v.mailbox == source.mailbox,
                    v.uid == one.uid,
                    v.owner == owner.account,
                )
            )
            if not gone.rowcount:
                continue
            keep = 0xFFFF_FFFF_FFFF_FFFF if targets[source] == source else 0xFF
            flags = one.flags & keep & ~DELETED
            target = targets[source]
            messages.put(conn, messages.Put(target, one.blob, flags, one.internaldate_us, one.size))
            if target not in changed:
                changed.append(target)
    return changed


def purge(conn: sa.Connection, before_us: int) -> int:
    """Erase up to `SLICE` messages expunged before ``before_us``; returns how many."""
    table, v = schema.vault, schema.vault.c
    rows = conn.execute(
        sa.select(v.agency, v.mailbox, v.uid, v.blob)
        .where(v.expunged_us < before_us)
        .order_by(v.expunged_us)
        .limit(SLICE)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return 0
    conn.execute(
        sa.delete(table).where(
            v.agency == sa.bindparam("a"), v.mailbox == sa.bindparam("m"), v.uid == sa.bindparam("u")
        ),
        [{"a": row.agency, "m": row.mailbox, "u": row.uid} for row in rows],
    )
    for blob in sorted(row.blob for row in rows):
        refer(conn, blob, -1, erased_us=now_us())
    return len(rows)


def tidy(conn: sa.Connection) -> bool:
    """Finish deletions that were interrupted, forget names of deleted mailboxes nobody can restore from.

    One step; True when there is more to do.
    """
    for ref in mailboxes.buried(conn, SLICE):
        if moving.clear(conn, ref):
            return True
        mailboxes.forget(conn, ref)
    old = now_us() - _REMEMBER_ERASED_DAYS * _DAY_US
    conn.execute(sa.delete(schema.erased).where(schema.erased.c.at_us < old))
    return False


def cutoff_us(days: int) -> int:
    """Messages expunged before this moment (µs UTC) have been in the vault for ``days`` days."""
    return now_us() - days * _DAY_US
