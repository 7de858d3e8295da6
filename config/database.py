# SPDX-License-Identifier: AGPL-3.0-or-later
"""The database: one metadata, snapshot reads, and one writer thread a process (`writer`).

Writes are functions of a connection; those that arrive together commit together (DESIGN 4.2). Processes on SQLite
queue on a lock file, not in SQLite's busy loop (DESIGN 4.7).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from config.engines import engines
from config.turns import PATIENCE_S
from config.writer import DatabaseUnavailable, Task, Writer

log = logging.getLogger("congvan.database")
metadata = sa.MetaData()
"""Every table of the installation; each room's ``schema.py`` adds its own."""

T = TypeVar("T")
Job = Callable[[sa.Connection], T]
_GONE = (sa.exc.OperationalError, sa.exc.InterfaceError)


class Database:
    """One engine pair (reads, the writer) on SQLite or PostgreSQL.

    ``lock_file`` is where processes queue before writing to SQLite. A write waits ``patience_s`` seconds for other
    processes (on PostgreSQL: for a locked row). ``before_commit`` functions run in the writer thread before each commit
    (segments make their bytes durable there), ``ahead`` ones before a transaction whose bytes were written already:
    they begin that work, which goes on beside the transaction's statements.
    """

    def __init__(self, url: str, lock_file: Path | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.url = url
        self.dialect = sa.make_url(url).get_backend_name()
        self._reader, writing = engines(url, patience_s)
        self._kept: sa.Connection | None = None
        self._kept_for = 0
        self._writer = Writer(writing, lock_file if self.dialect == "sqlite" else None, patience_s)
        self.ahead = self._writer.ahead
        self.before_commit = self._writer.before_commit

    # --- reads

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection with one snapshot for its life. Raises `DatabaseUnavailable`."""
        kept = self._kept if threading.get_ident() == self._kept_for else None
        if kept is None:
            with self._reading() as conn:
                yield conn
            return
        self._kept = None  # who reads within this read takes another
        try:
            yield kept
        except _GONE as problem:
            kept.invalidate()
            log.error("a read failed: %s", problem)
            raise DatabaseUnavailable from problem
        finally:
            if kept.in_transaction():
                kept.rollback()
            elif not kept.invalidated:
                kept.connection.rollback()  # `Statement` may have begun one by itself
            self._kept = kept

    def keep_a_reader(self) -> None:
        """Have reads of the calling thread take one connection that stays open: an event loop asks thousands of
        small questions a second, and taking a connection from the pool costs more than the answer.

        SQLite only: a server's connection may be gone by the next question.
        """
        if self.dialect == "sqlite":
            self._kept, self._kept_for = self._reader.connect(), threading.get_ident()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            conn = self._reader.connect()
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as problem:
            raise DatabaseUnavailable from problem
        with conn:
            try:
                yield conn
            except _GONE as problem:
                log.error("a read failed: %s", problem)
                raise DatabaseUnavailable from problem

    # --- writes

    def write(self, job: Job[T]) -> T:
        """Run ``job`` in the writer thread and return its result once it is durable.

        Raises what the job raises, or `DatabaseUnavailable`; in both cases nothing of it is kept.
        """
        future: Future[Any] = Future()

        def done(result: Any, error: BaseException | None) -> None:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self._writer.put(Task(job, done))
        return cast(T, future.result())

    async def commit(self, job: Job[T], before: Callable[[], None] | None = None) -> T:
        """`write`, awaited from a running event loop.

        ``before`` runs in the writer thread ahead of the transaction, while another process may have its own: what
        it wrote begins to be made durable by the ``ahead`` functions then. What it raises is raised here.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def done(result: Any, error: BaseException | None) -> None:
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                log.warning("the event loop ended before its write was answered")

        self._writer.put(Task(job, done, before))
        return cast(T, await future)

    def refuse_when_stuck(self) -> None:
        """Raises `turns.WriterStuck` when a process is stopped in its turn, so that no write would go through."""
        self._writer.refuse_when_stuck()

    def close(self) -> None:
        """Finish queued writes, unless another process has the turn for too long, and close all connections."""
        self._writer.close()
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._reader.dispose()
