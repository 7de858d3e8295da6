# SPDX-License-Identifier: AGPL-3.0-or-later
"""The regular look at all connections: who is silent, who idles, whose wake-up was lost.

Some connections at a time, spread over the whole round: ten thousand idlers looked at in one go would make everybody
wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Protocol

from config.refusal import Refused
from mailserver.imap.session import Session
from mailserver.store import Store

log = logging.getLogger("congvan.imap")

_ROUND_S = 15.0
_AT_ONCE = 50


class Swept(Protocol):
    """A connection."""

    session: Session

    def sweep(self, now: float) -> None:
        """Look at it; ``now`` is the loop's time."""

    def changed(self) -> None:
        """Its mailbox is not as it knows it."""


async def sweep(store: Store, connections: Collection[Swept]) -> None:
    """Look round for ever."""
    loop = asyncio.get_running_loop()
    while True:
        known = list(connections)
        turns = range(0, len(known) or 1, _AT_ONCE)
        for start in turns:
            await asyncio.sleep(_ROUND_S / len(turns))
            some, now = known[start : start + _AT_ONCE], loop.time()
            for one in some:
                one.sweep(now)
            try:
                _look(store, [one for one in some if one.session.idling])
            except Refused:
                log.warning("could not look after idling clients")


def _look(store: Store, idlers: list[Swept]) -> None:
    """Have those told whose mailbox changed unheard, by one question to the store."""
    seen = [(one, view) for one in idlers if (view := one.session.view) is not None]
    if not seen:
        return
    now = store.modseqs({view.ref for _, view in seen})
    for one, view in seen:
        if now.get(view.ref, 0) > view.modseq:
            one.changed()
