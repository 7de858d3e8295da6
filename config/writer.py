# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one writer of a process: jobs that arrive together share a transaction and an fsync (DESIGN 4.2).

Each job runs in its own savepoint, so one bad job never fails its neighbours. Processes on SQLite take turns
(`turns`).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from config.refusal import Unavailable
from config.statement import Statement
from config.turns import Turns, WriterStuck

log = logging.getLogger("congvan.database")

C = TypeVar("C", bound=Callable[[], None])
_BATCH = 128
_RETRIES = 5
_TRANSIENT = {"40P01", "40001"}
_AFTER = "congvan.after_commit"
_TOGETHER = "congvan.after_commit_together"
_SAVEPOINT = Statement(sa.text("SAVEPOINT job"))
_RELEASE = Statement(sa.text("RELEASE SAVEPOINT job"))
_ROLLBACK = Statement(sa.text("ROLLBACK TO SAVEPOINT job"))
_JOBS_OWN_FAULT = (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.ProgrammingError)


class DatabaseUnavailable(Unavailable):
    """The database or its disk can't be reached or written now; nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "database-unavailable",
            "Cơ sở dữ liệu tạm thời không ghi được, chưa có gì thay đổi. Hãy thử lại sau ít phút.",
            "The database can't be written just now, nothing was changed. Please try again in a few minutes.",
        )


def after_commit(conn: sa.Connection, callback: Callable[[], None]) -> None:
    """Have ``callback`` run once the transaction of ``conn`` is durable (never when it is undone)."""
    conn.info.setdefault(_AFTER, []).append(callback)


def after_commit_together(conn: sa.Connection, key: object, make: Callable[[], C]) -> C:
    """The callback known as ``key`` of the transaction of ``conn``, made once for all jobs that commit together.

    A job that is undone may leave in it what it added.
    """
    together: dict[object, Any] = conn.info.setdefault(_TOGETHER, {})
    known = together.get(key)
    if known is None:
        known = together[key] = make()
        after_commit(conn, known)
    return cast(C, known)


@dataclass(slots=True)
class Task:
    """A job, and who is told its result. ``before`` runs ahead of the transaction."""

    job: Callable[[sa.Connection], Any]
    done: Callable[[Any, BaseException | None], None]
    before: Callable[[], None] | None = None
    result: Any = None
    error: BaseException | None = field(default=None)
    answered: bool = False


class Writer:
    """The writer thread of ``engine``, which starts with the first job.

    ``lock_file`` is where processes queue before writing to SQLite, None elsewhere; a job waits ``patience_s`` seconds
    for them. ``before_commit`` functions run in the thread before each commit, ``ahead`` ones before a transaction
    whose bytes were written already.
    """

    def __init__(self, engine: sa.Engine, lock_file: Path | None, patience_s: float) -> None:
        self._engine = engine
        self._keeps = engine.dialect.name == "sqlite"
        self._kept: sa.Connection | None = None
        self._turns = None if lock_file is None else Turns(lock_file, patience_s, self._give_up)
        self._patience_s = patience_s
        self._waiting: list[Task] = []
        self._answering = threading.Lock()
        self.ahead: list[Callable[[], None]] = []
        self.before_commit: list[Callable[[], None]] = []
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def refuse_when_stuck(self) -> None:
        """Raises `WriterStuck` when a process is stopped in its turn, so that no write would go through."""
        if self._turns is not None:
            self._turns.refuse_when_stuck()

    def close(self) -> None:
        """Finish queued jobs, unless another process has the turn for too long, and close the connection."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._tasks.put(None)
            while thread.is_alive():
                thread.join(1.0)
                if self._turns is not None and self._turns.waited_s > self._patience_s:
                    self._give_up(self._turns.stuck())
                    break
        self._let_go()
        self._engine.dispose()
        if self._turns is not None:
            self._turns.close()

    def put(self, task: Task) -> None:
        """Have the thread run it with what else waits."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
                    self._thread.start()
        self._tasks.put(task)

    def _run(self) -> None:
        while True:
            first = self._tasks.get()
            if first is None:
                return
            batch, ending = [first], False
            while len(batch) < _BATCH and not ending:
                try:
                    task = self._tasks.get_nowait()
                except queue.Empty:
                    break
                if task is None:
                    ending = True
                else:
                    batch.append(task)
            after = self._commit(batch)
            while (
                batch
            ):  # nothing of a job may stay referenced here until the next one comes: it may be large
                task = batch.pop(0)
                if not task.answered:
                    task.done(task.result, task.error)
            del first, task
            for callback in after:  # hints to others; whoever asked has its answer before
                try:
                    callback()
                except Exception:
                    log.exception("a wake-up after the commit failed")
            if ending:
                return

    def _commit(self, tasks: list[Task]) -> list[Callable[[], None]]:
        """One transaction of ``tasks``, tried again when it met another one; what is to be called then."""
        batch = self._ahead(tasks)
        if not batch:
            return []
        for attempt in range(_RETRIES):
            try:
                return self._transact(batch)
            except sa.exc.DBAPIError as problem:
                if getattr(problem.orig, "sqlstate", None) in _TRANSIENT and attempt + 1 < _RETRIES:
                    continue
                self._fail(batch, problem)
                break
            except Exception as problem:  # whatever it is, the writer lives on
                self._fail(batch, problem)
                break
        return []

    def _ahead(self, tasks: list[Task]) -> list[Task]:
        """Do what is to be done before the transaction; the tasks that go on."""
        ahead = False
        for task in tasks:
            if task.before is None:
                continue
            try:
                task.before()
                ahead = True
            except Exception as problem:
                task.error = problem
        batch = [task for task in tasks if task.error is None]
        if ahead:
            try:
                for begin in self.ahead if len(batch) > 1 else self.before_commit:
                    begin()
            except OSError as problem:
                self._fail(batch, problem)
                return []
        return batch

    def _fail(self, batch: list[Task], problem: Exception) -> None:
        log.error("a commit of %d jobs failed: %s", len(batch), problem)
        for task in batch:
            task.error = DatabaseUnavailable()
            task.error.__cause__ = problem

    def _transact(self, batch: list[Task]) -> list[Callable[[], None]]:
        with self._turn(batch):
            return self._transaction(batch) if batch else []

    def _transaction(self, batch: list[Task]) -> list[Callable[[], None]]:
        with self._writing() as conn:
            after: list[Callable[[], None]] = []
            conn.info[_AFTER], conn.info[_TOGETHER] = after, {}
            with conn.begin() as transaction:
                if len(batch) == 1:
                    self._run_alone(conn, batch[0])
                    if batch[0].error is not None:
                        transaction.rollback()
                        return []
                else:
                    for task in batch:
                        self._run_task(conn, task, after)
                for flush in self.before_commit:
                    flush()
            return after

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """The writer's connection; on SQLite it stays open, as taking it from the pool costs what two statements do."""
        if not self._keeps:
            with self._engine.connect() as conn:
                yield conn
            return
        if self._kept is None:
            self._kept = self._engine.connect()
        try:
            yield self._kept
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _run_task(self, conn: sa.Connection, task: Task, after: list[Callable[[], None]]) -> None:
        task.result, task.error = None, None
        mark = len(after)
        _SAVEPOINT.run(conn)
        try:
            task.result = task.job(conn)
            _RELEASE.run(conn)
        except _JOBS_OWN_FAULT as problem:
            self._undo(conn, task, problem, after, mark)
        except sa.exc.DBAPIError:
            raise
        except Exception as problem:
            self._undo(conn, task, problem, after, mark)

    @staticmethod
    def _run_alone(conn: sa.Connection, task: Task) -> None:
        """A job without neighbours needs no savepoint: when it fails the transaction is undone."""
        task.result, task.error = None, None
        try:
            task.result = task.job(conn)
        except _JOBS_OWN_FAULT as problem:
            task.error = problem
        except sa.exc.DBAPIError:
            raise
        except Exception as problem:
            task.error = problem

    @staticmethod
    def _undo(
        conn: sa.Connection,
        task: Task,
        problem: Exception,
        after: list[Callable[[], None]],
        mark: int,
    ) -> None:
        _ROLLBACK.run(conn)
        _RELEASE.run(conn)
        if len(after) > mark:
            del after[mark:]
            conn.info[_TOGETHER].clear()  # what was made before may be used on, at worst there are two
        task.error = problem

    @contextmanager
    def _turn(self, batch: list[Task]) -> Iterator[None]:
        """Our turn among the processes; of ``batch`` stay the tasks that were not answered while we waited."""
        if self._turns is None:
            yield
            return
        self._waiting = batch
        self._turns.take()
        try:
            with self._answering:
                self._waiting = []
                batch[:] = [task for task in batch if not task.answered]
            yield
        finally:
            self._turns.leave()

    def _give_up(self, problem: WriterStuck) -> None:
        """Answer all who wait; called by another thread, while the writer's waits for its turn."""
        with self._answering:
            waiting, self._waiting = self._waiting, []
            for task in waiting:
                task.answered = True
        ending = False
        while True:
            try:
                late = self._tasks.get_nowait()
            except queue.Empty:
                break
            if late is None:
                ending = True
            else:
                waiting = [*waiting, late]
        if ending:
            self._tasks.put(None)
        if waiting:
            log.error("%d writes were given up: %s", len(waiting), problem)
        for task in waiting:
            task.done(None, problem)
