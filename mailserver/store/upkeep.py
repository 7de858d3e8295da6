# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the worker does for the store, on one node at a time: flags into rows, purge the vault, finish deletions, compact."""

from __future__ import annotations

import asyncio
import logging
import time

from config.leases import hold, release
from mailserver.store import flag_ranges, snapshots, vault
from mailserver.store.compaction import REMOVAL, Compaction
from mailserver.store.store import Store

log = logging.getLogger("congvan.upkeep")
_LEASE, _LEASE_S = "store-upkeep", 60.0
_EVERY_S = 60.0
_COMPACT_EVERY_S = 600.0


class Upkeep:
    """Rounds once a minute. ``vault_days``, ``compact_percent``: as in the settings."""

    def __init__(self, store: Store, vault_days: int, compact_percent: int) -> None:
        self._store = store
        self._vault_days = vault_days
        self._compaction = Compaction(store.database, store.segments, compact_percent)
        self._compacted = -_COMPACT_EVERY_S

    async def run(self) -> None:
        """Work until cancelled. Raises `Unavailable` when the database is down: begin again later."""
        while True:
            await asyncio.to_thread(self.work_once)
            await asyncio.sleep(_EVERY_S)

    def work_once(self) -> None:
        """One round, when the lease is ours. Blocking."""
        if not self._keep():
            return
        database = self._store.database
        self.keep_columns()
        self._settle_flags()
        cutoff = vault.cutoff_us(self._vault_days)
        while database.write(lambda conn: vault.purge(conn, cutoff)) and self._keep():
            pass
        while database.write(vault.tidy) and self._keep():
            pass
        if time.monotonic() - self._compacted >= _COMPACT_EVERY_S:
            self._compacted = time.monotonic()
            report = self._compaction.round(self._keep)
            if report.rewritten:
                log.info("%d segments rewritten, %d bytes moved", report.rewritten, report.moved)
            if hold(database, REMOVAL, _LEASE_S):
                try:
                    self._compaction.remove()
                finally:
                    release(database, REMOVAL)

    def keep_columns(self) -> None:
        """Write the snapshots of large mailboxes that want one. Blocking."""
        database = self._store.database
        with database.reading() as conn:
            waiting = snapshots.wanting(conn)
        for ref in waiting:
            opened = self._store.opened(ref)
            if opened is not None and self._keep():
                mailbox, columns = opened
                database.write(
                    lambda conn, mailbox=mailbox, columns=columns: snapshots.write(  # type: ignore[misc]
                        conn, mailbox.ref, mailbox.highestmodseq, columns
                    )
                )

    def _settle_flags(self) -> None:
        database = self._store.database
        with database.reading() as conn:
            waiting = flag_ranges.unsettled(conn)
        for ref in waiting:
            while database.write(lambda conn, ref=ref: flag_ranges.settle_next(conn, ref)) and self._keep():  # type: ignore[misc]
                pass

    def _keep(self) -> bool:
        return hold(self._store.database, _LEASE, _LEASE_S)
