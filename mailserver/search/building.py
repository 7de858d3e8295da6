# SPDX-License-Identifier: AGPL-3.0-or-later
"""The worker's duty: index and pages follow what is stored, one holder of the lease at a time, politely."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from config.leases import hold, release
from mailserver.search import merging, texts
from mailserver.search.extraction import Extraction
from mailserver.search.indexer import Indexer, Overtaken
from mailserver.search.pages import Tender
from mailserver.store import Store

log = logging.getLogger("congvan.search")

LEASE = "search-index"
_LEASE_S = 60.0
_PAUSE_S = 3.0
"""So much is gathered before a step: a segment of many messages costs little more than one of a single message."""
_CROWDED = 1.5
"""Times its CPU time a step may take before the machine counts as busy."""
_LAG_S = 60.0
"""So long at most the index makes way for other work."""
_TEND_S = 5.0
_NICE = 10


class Builder:
    """Brings index and pages up to date, step by step."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._extraction = Extraction()
        self._indexer = Indexer(store, self._extraction)
        self._tender = Tender(store)
        self._held = False
        self._renew = 0.0
        self._tended = -_TEND_S
        self._used = 0.0

    async def run(self) -> None:
        """Work for ever, in a thread that lets delivery go first."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "search-index", initializer=_yield_to_others) as pool:
            try:
                behind: float | None = None
                while True:
                    begun, used = time.monotonic(), self._used
                    if not await loop.run_in_executor(pool, self.step):
                        behind = None
                        await asyncio.sleep(_PAUSE_S)
                        continue
                    now = time.monotonic()
                    behind = behind or begun
                    if now - begun > _CROWDED * (self._used - used) and now - behind < _LAG_S:
                        await asyncio.sleep(_PAUSE_S)  # others want the cores: let them have them for now
            finally:
                self._extraction.close()
                if self._held:
                    release(self._store.database, LEASE)

    def step(self) -> bool:
        """One step; True when there is more to do at once, False also while another process holds the lease."""
        begun = time.thread_time()
        try:
            return self._step()
        finally:
            self._used += time.thread_time() - begun

    def _step(self) -> bool:
        if not self._leads():
            return False
        if time.monotonic() - self._tended > _TEND_S:
            if self._tender.step():
                return True
            self._tended = time.monotonic()
        try:
            more = self._indexer.step()
            if merging.merge(self._store) or more or texts.fill(self._store):
                return True
        except Overtaken:
            return True
        if merging.sweep(self._store):
            self._indexer.forget()
            return True
        return False

    def _leads(self) -> bool:
        now = time.monotonic()
        if self._held and now < self._renew:
            return True
        led, self._held = self._held, hold(self._store.database, LEASE, _LEASE_S)
        self._renew = now + _LEASE_S / 3
        if self._held and not led:
            self._indexer.forget()
            merging.tidy(self._store)
        return self._held

    def forget(self) -> None:
        """Somebody changed the index: read it again."""
        self._indexer.forget()

    def catch_up(self) -> None:
        """Steps until nothing is left to do."""
        self._tended = -_TEND_S
        while self.step():
            pass


def _yield_to_others() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
