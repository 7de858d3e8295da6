# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whole answers of SEARCH, SORT and THREAD, kept while the mailbox they speak of is as it was.

Webmail and telephones ask for the same order again with every page they turn. An answer stands as long as the
UIDs are the same ones (and, when it looked at flags, nothing at all changed): both are compared, nothing is guessed.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from mailserver.imap.view import View
from mailserver.search.keys import Lasting
from mailserver.store import Ref

_MOST = 8 * 1024 * 1024
_OVERHEAD = 500


class _Kept(NamedTuple):
    uids: array[int]
    modseq: int
    reply: bytes


class Answers:
    """At most `_MOST` octets (4 + 7 a message and answer); what was not asked for longest goes first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[Ref, Hashable], _Kept] = OrderedDict()
        self._octets = 0
        self._lock = threading.Lock()

    def get(self, view: View, question: Hashable, lasting: Lasting) -> bytes | None:
        """The answer to a question about a mailbox as the session sees it now, when it is known."""
        if lasting is Lasting.NOT or view.gone:
            return None
        key = (view.ref, question)
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
        if lasting is Lasting.MODSEQ and found.modseq != view.modseq:
            return None
        uids = view.uids
        same = len(uids) == len(found.uids) and uids.tobytes() == found.uids.tobytes()
        return found.reply if same else None

    def keep(self, view: View, question: Hashable, lasting: Lasting, reply: bytes) -> None:
        """Keep an answer that was made of the mailbox as the session sees it now."""
        if lasting is Lasting.NOT or view.gone:
            return
        new = _Kept(view.uids[:], view.modseq, reply)
        if _weight(new) > self._most // 2:
            return
        key = (view.ref, question)
        with self._lock:
            old = self._kept.pop(key, None)
            self._kept[key] = new
            self._octets += _weight(new) - (_weight(old) if old is not None else 0)
            while self._octets > self._most:
                self._octets -= _weight(self._kept.popitem(last=False)[1])


def _weight(one: _Kept) -> int:
    return 4 * len(one.uids) + len(one.reply) + _OVERHEAD
