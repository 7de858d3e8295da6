# SPDX-License-Identifier: AGPL-3.0-or-later
"""Learning from what people did: takes the lessons noted by the store and teaches the spam filter.

One lesson is one transaction: learned and gone, or still there. A letter that can't be read any more teaches nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from config.wake import Wake
from mailserver.hygiene.features import features
from mailserver.hygiene.spam import SpamFilter
from mailserver.message import scan
from mailserver.store import Store, schema

log = logging.getLogger("congvan.hygiene")
_AGAIN_S = 30.0
_TIDY_EVERY = 500


class Learner:
    """Follows the lessons of one installation; run it in one process."""

    def __init__(self, store: Store, wake: Wake) -> None:
        self._store = store
        self._filter = SpamFilter(store.seal)
        self._woken = asyncio.Event()
        self._learned = 0
        wake.subscribe(self._on_wake)

    def _on_wake(self, topic: str, key: str) -> None:
        if topic == "lesson":
            self._woken.set()

    async def run(self) -> None:
        """Learn until cancelled."""
        while True:
            self._woken.clear()
            while await self.once():
                pass
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await self._woken.wait()

    async def once(self) -> bool:
        """Take the oldest lesson; False when there is none."""
        row = await asyncio.to_thread(self._next)
        if row is None:
            return False
        number, blob, junk = row
        try:
            data = await asyncio.to_thread(self._store.content, blob)
        except (LookupError, Refused) as problem:
            log.warning("a lesson can't be read: %s", problem)
            data = b""
        found = await asyncio.to_thread(lambda: features(data, scan(data))) if data else []
        digest = hashlib.sha256(data).digest()

        def job(conn: sa.Connection) -> None:
            gone = conn.execute(sa.delete(schema.lesson).where(schema.lesson.c.lesson == number)).rowcount
            if gone and found:
                self._filter.learn(conn, digest, found, junk, now_us())
            if self._learned % _TIDY_EVERY == 0:
                self._filter.tidy(conn, now_us())

        await self._store.database.commit(job)
        self._learned += 1
        return True

    def _next(self) -> tuple[int, int, bool] | None:
        table = schema.lesson
        with self._store.database.reading() as conn:
            row = conn.execute(sa.select(table).order_by(table.c.lesson).limit(1)).first()
        return None if row is None else (row.lesson, row.blob, bool(row.junk))
