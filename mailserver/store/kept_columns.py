# SPDX-License-Identifier: AGPL-3.0-or-later
"""UIDs, flags and modseqs of large mailboxes, kept in memory between sessions and brought up to date by the change log.

A phone connects anew many times a day; reading 100,000 rows each time costs 35 ms, the changes since the last time
cost little. A process that sees a mailbox for the first time begins with its snapshot (`snapshots`). What is kept is a copy
of rows, never the truth: a count that does not fit, or a long log, and all rows are read.
"""

from __future__ import annotations

import logging
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict

import sqlalchemy as sa

from mailserver.store import changelog, flag_ranges, listing, snapshots
from mailserver.store.listing import Columns
from mailserver.store.model import Change, Mailbox, Ref
from mailserver.store.snapshots import SMALL

log = logging.getLogger("congvan.store")

_MOST_CHANGES = 500
_PART = 32
"""What one message costs whose flags are read from its row, beside one whose change stands in the log."""
_MOST_TIMES = 8
"""A log that would change the flags of all messages more often is not followed: all rows are read, as fast by then."""
_ITEM = 20
"""Octets of a message in the three arrays."""


class KeptColumns:
    """At most ``most`` octets for all mailboxes; the one not asked for longest goes first. For all threads."""

    def __init__(self, most: int = 16 * 1024 * 1024) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Ref, tuple[int, Columns]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, conn: sa.Connection, mailbox: Mailbox) -> Columns:
        """The columns of a mailbox as ``conn`` sees it, which gave ``mailbox`` from the same snapshot; the caller's own."""
        ref, now = mailbox.ref, (mailbox.exists, mailbox.highestmodseq)
        if mailbox.exists < SMALL:
            return listing.columns(conn, ref)
        with self._lock:
            kept = self._kept.get(ref)
        found = followed(conn, ref, *now, *kept) if kept is not None else None
        if found is None:
            found = _of_snapshot(conn, ref, *now)
        if found is None:
            found = listing.columns(conn, ref)
        self._keep(mailbox, found)
        return found

    def _keep(self, mailbox: Mailbox, found: Columns) -> None:
        copied = Columns(*(one[:] for one in found))
        with self._lock:
            old = self._kept.pop(mailbox.ref, None)
            self._size += _ITEM * (len(copied.uids) - (len(old[1].uids) if old is not None else 0))
            self._kept[mailbox.ref] = (mailbox.highestmodseq, copied)
            while self._size > self._most and self._kept:
                _, (_, gone) = self._kept.popitem(last=False)
                self._size -= _ITEM * len(gone.uids)


def _lasting(changes: list[Change]) -> list[Change]:
    """Without changes of flags that a later one of the same flags of the same messages makes void."""
    found: list[Change] = []
    later: set[tuple[int, int, int]] = set()
    for one in reversed(changes):
        if one.how in ("add", "remove"):
            key = (one.first_uid, one.last_uid, one.mask)
            if key in later:
                continue
            later.add(key)
        found.append(one)
    return found[::-1]


def _of_snapshot(conn: sa.Connection, ref: Ref, exists: int, highestmodseq: int) -> Columns | None:
    try:
        kept = snapshots.read(conn, ref)
    except ValueError:
        log.exception("the snapshot of mailbox %s can't be read", ref)
        return None
    return followed(conn, ref, exists, highestmodseq, *kept) if kept is not None else None


def followed(
    conn: sa.Connection, ref: Ref, exists: int, highestmodseq: int, modseq: int, kept: Columns
) -> Columns | None:
    """A copy of what was kept at ``modseq``, brought to what ``conn`` sees; None when all rows are to be read.

    What was done to flags stands in the log, so no row is read for it; only entries that don't say lead to the rows.
    """
    if modseq > highestmodseq:
        return None  # kept by a session with a newer snapshot
    changes = changelog.changes(conn, ref, modseq) if modseq < highestmodseq else []
    if len(changes) > _MOST_CHANGES:
        return None
    uids, flags, modseqs = (one[:] for one in kept)
    last = uids[-1] if uids else 0
    work = 0
    unclear: list[tuple[int, int]] = []
    for one in _lasting(changes):
        here = slice(bisect_left(uids, one.first_uid), bisect_right(uids, one.last_uid))
        if here.start == here.stop or one.kind == "expunged":
            continue
        if one.how:
            work += here.stop - here.start
            flag_ranges.change(flags, modseqs, here, one.how, one.mask, one.modseq)
        else:
            work += _PART * (here.stop - here.start)
            unclear.append((one.first_uid, min(one.last_uid, last)))
        if work > _MOST_TIMES * exists:
            return None
    for first, end in unclear:
        for uid, new, at_modseq in listing.marks(conn, ref, first, end):
            at = bisect_left(uids, uid)
            if at < len(uids) and uids[at] == uid:
                flags[at], modseqs[at] = new, at_modseq
    for one in changes:
        if one.kind == "expunged":
            low, high = bisect_left(uids, one.first_uid), bisect_right(uids, one.last_uid)
            del uids[low:high], flags[low:high], modseqs[low:high]
    if any(one.kind == "new" and one.last_uid > last for one in changes):
        rows = listing.marks(conn, ref, last + 1, listing.LAST_UID)
        uids += array("I", [row[0] for row in rows])
        flags += array("q", [row[1] for row in rows])
        modseqs += array("q", [row[2] for row in rows])
    return Columns(uids, flags, modseqs) if len(uids) == exists else None
