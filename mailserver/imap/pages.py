# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rendered pieces of FETCH answers, kept in memory and shared by the sessions of a process.

What never changes of a message (all but its number, flags and modseq) is rendered once for each list of
items that clients ask for. A UID never names another message, so nothing is ever stale. Nothing is written
to disk here: what is asked for the first time comes from the sealed pages (`mailserver.search.pages`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from mailserver.store import Ref

Key = tuple[Ref, bytes, int]
BLOCK = 512
"""UIDs of one page: those with the same ``(uid - 1) // BLOCK``, as the sealed pages of a mailbox without gaps."""
_MOST = 64 * 1024 * 1024
_OVERHEAD = 130


class Pages:
    """At most `_MOST` octets; what was not asked for longest goes first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._pages: OrderedDict[Key, dict[int, bytes]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def page(self, ref: Ref, items: bytes, number: int) -> dict[int, bytes]:
        """The page of a mailbox for a list of items, by UID; not to be changed."""
        key = (ref, items, number)
        with self._lock:
            found = self._pages.get(key)
            if found is None:
                return {}
            self._pages.move_to_end(key)
            return found

    def add(self, ref: Ref, items: bytes, number: int, made: dict[int, bytes]) -> dict[int, bytes]:
        """Keep more of a page, ``made`` not to be changed any more; returns all of it."""
        key = (ref, items, number)
        with self._lock:
            old = self._pages.pop(key, {})
            new = {**old, **made} if old else made
            self._pages[key] = new
            self._size += _weight(new) - _weight(old)
            while self._size > self._most and self._pages:
                _, gone = self._pages.popitem(last=False)
                self._size -= _weight(gone)
            return new


def _weight(page: dict[int, bytes]) -> int:
    return sum(map(len, page.values())) + _OVERHEAD * len(page)
