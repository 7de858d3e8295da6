# SPDX-License-Identifier: AGPL-3.0-or-later
"""UIDs, flags and modseqs of large mailboxes, kept in memory between sessions and brought up to date by the change log.

A phone connects anew many times a day; reading 100,000 rows each time costs 50 ms, the changes since the last time
cost little. What is kept is a copy of rows, never the truth: a count that does not fit, or a long log, and all rows are read.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict

import sqlalchemy as sa

from mailserver.store import changelog, listing
from mailserver.store.listing import Columns
from mailserver.store.model import Mailbox, Ref

_SMALL = 1000
"""Mailboxes with fewer messages are read each time: about half a millisecond."""
_MOST_CHANGES = 200
_PART = 16
"""When flags of more than this part of a mailbox changed, all rows are read: that is faster by then."""
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
        if mailbox.exists < _SMALL:
            return listing.columns(conn, mailbox.ref)
        with self._lock:
            kept = self._kept.get(mailbox.ref)
        found = _followed(conn, mailbox, *kept) if kept is not None else None
        if found is None:
            found = listing.columns(conn, mailbox.ref)
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


def _followed(conn: sa.Connection, mailbox: Mailbox, modseq: int, kept: Columns) -> Columns | None:
    """A copy of what was kept at ``modseq``, brought to what ``conn`` sees; None when all rows are to be read."""
    if modseq > mailbox.highestmodseq:
        return None  # kept by a session with a newer snapshot
    changes = changelog.changes(conn, mailbox.ref, modseq) if modseq < mailbox.highestmodseq else []
    touched = sum(one.last_uid - one.first_uid + 1 for one in changes if one.kind == "flags")
    if len(changes) > _MOST_CHANGES or touched > mailbox.exists // _PART:
        return None
    uids, flags, modseqs = (one[:] for one in kept)
    last = uids[-1] if uids else 0
    for change in changes:
        if change.kind != "flags":
            continue
        for uid, new, at_modseq in listing.marks(
            conn, mailbox.ref, change.first_uid, min(change.last_uid, last)
        ):
            at = bisect_left(uids, uid)
            if at < len(uids) and uids[at] == uid:
                flags[at], modseqs[at] = new, at_modseq
    for change in changes:
        if change.kind == "expunged":
            low, high = bisect_left(uids, change.first_uid), bisect_right(uids, change.last_uid)
            del uids[low:high], flags[low:high], modseqs[low:high]
    if any(change.kind == "new" for change in changes):
        rows = listing.marks(conn, mailbox.ref, last + 1, listing.LAST_UID)
        uids += array("I", [row[0] for row in rows])
        flags += array("q", [row[1] for row in rows])
        modseqs += array("q", [row[2] for row in rows])
    return Columns(uids, flags, modseqs) if len(uids) == mailbox.exists else None
