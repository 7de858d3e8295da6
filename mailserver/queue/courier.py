# SPDX-License-Identifier: AGPL-3.0-or-later
"""The courier: takes due outbound rows by lease and carries them (DESIGN §2, 4.7).

A message once accepted ends in a mailbox, in another server's 250, or in a notice to its sender. A row goes
only with that: the notice comes and the row goes in one transaction, so a crash neither loses nor repeats it;
only a crash after another server's 250 repeats the message. A lease that
is not renewed any more runs out, and the row is due again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused, Unavailable
from config.settings import Settings
from config.wake import Wake
from mailserver.accounts import Accounts
from mailserver.accounts.model import domain_of
from mailserver.delivery import Delivery
from mailserver.queue.client import Answer, Broken, Letter, SmtpClient, To, wire_form
from mailserver.queue.exchangers import Exchangers, NotNow
from mailserver.queue.routes import Route, Routes
from mailserver.queue.settling import Settling
from mailserver.senderauth.keys import SigningKeys
from mailserver.senderauth.signing import sign_leaving
from mailserver.store import Store, outbound, schema, submissions
from mailserver.store.outbound import Outbound
from mailserver.store.submissions import Submission

log = logging.getLogger("congvan.queue")
_MOST_ROWS = 500
_A_TRANSACTION = 100
_LOOK_AGAIN_S = 30.0
_NOWHERE = Route("", 0)
_MOST_RELEASED = 50
_RELEASE_AGAIN_US = 60_000_000
Key = tuple[int, int]


@dataclass(slots=True)
class _Group:
    """Rows that one transaction carries: same message, sender and destination."""

    rows: list[Outbound]
    leased_at: float


@dataclass(slots=True)
class _Destination:
    """A server, what waits for it, who carries there now, when it last could not be reached and why."""

    route: Route
    waiting: deque[_Group] = field(default_factory=deque)
    carriers: int = 0
    failed_at: float = -1.0
    failure: str = ""


class Courier:
    """Carries the queue of one installation. ``lease_s``: a row of a dead process is due again after that.

    ``exchangers`` find servers in the DNS for domains that no route names; None: such rows are held.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        delivery: Delivery,
        settings: Settings,
        wake: Wake,
        lease_s: float = 60.0,
        exchangers: Exchangers | None = None,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._settings = settings
        self._lease_s = lease_s
        self._keys = SigningKeys(store.database, store.seal)
        self._exchangers = exchangers
        self._settling = Settling(store, accounts, delivery, settings)
        self._destinations: dict[Route, _Destination] = {}
        self._in_flight: dict[Key, Outbound] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        wake.subscribe(self._on_wake)

    def _on_wake(self, topic: str, key: str) -> None:
        if topic == "queue":
            self._woken.set()

    async def run(self) -> None:
        """Carry until cancelled. Raises `Refused` when the routes of the settings can't be read."""
        routes = Routes(self._settings, self._accounts)
        renewing = asyncio.create_task(self._renew(), name="queue-leases")
        try:
            while True:
                self._woken.clear()
                await self._take(routes)
                pause = await self._pause()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(
                        pause
                    ):  # `wait_for` forgets that it was cancelled when it is woken
                        await self._woken.wait()
        finally:
            renewing.cancel()
            await self._stop()

    # --- taking

    async def _take(self, routes: Routes) -> None:
        room = _MOST_ROWS - len(self._in_flight)
        await self._release()
        due = await asyncio.to_thread(self._next_due)
        if room <= 0 or due is None or due > now_us():
            return
        leased = await self._store.database.commit(
            lambda conn: outbound.lease_due(conn, self._store.seal, room, self._lease_s)
        )
        rows = [one for one in leased if (one.agency, one.row) not in self._in_flight]
        for one in rows:
            self._in_flight[one.agency, one.row] = one
        ending = [one for one in rows if one.state == "expiring"]
        for one in ending:
            self._start(self._expire(one))
        homeless = self._sort([one for one in rows if one.state != "expiring"], routes)
        if homeless:
            self._start(self._hold(homeless) if self._exchangers is None else self._find(homeless))

    def _sort(self, rows: Iterable[Outbound], routes: Routes) -> list[Outbound]:
        """Put rows with their destinations; gives back those that have none."""
        now = asyncio.get_running_loop().time()
        groups: dict[tuple[Route, int, str, str, str, str], list[Outbound]] = {}
        homeless = []
        for one in rows:
            route = routes.of(domain_of(one.recipient))
            if route is None:
                homeless.append(one)
            else:
                kind = (route, one.blob, one.sender, one.envelope_id, one.ret, one.redirected_by)
                groups.setdefault(kind, []).append(one)
        for (route, *_), members in groups.items():
            self._wait(route, members, now)
        return homeless

    async def _find(self, rows: list[Outbound]) -> None:
        """Ask the DNS where rows go that no route names."""
        assert self._exchangers is not None
        domains: dict[str, list[Outbound]] = {}
        for one in rows:
            domains.setdefault(domain_of(one.recipient), []).append(one)
        for domain, members in domains.items():
            self._start(self._find_one(self._exchangers, domain, members))

    async def _find_one(self, exchangers: Exchangers, domain: str, rows: list[Outbound]) -> None:
        try:
            route = await exchangers.route(domain)
        except NotNow as problem:
            await self._without_server(rows, Answer(451, str(problem)))
        except Refused as problem:
            await self._without_server(rows, Answer(556, f"{problem.en} {problem.vi}"))
        except Exception:
            log.exception("no server could be looked for")
            await self._without_server(rows, Answer(451, "4.3.0 the DNS could not be asked"))
        else:
            groups: dict[tuple[int, str, str, str, str], list[Outbound]] = {}
            for one in rows:
                kind = (one.blob, one.sender, one.envelope_id, one.ret, one.redirected_by)
                groups.setdefault(kind, []).append(one)
            for members in groups.values():
                self._wait(route, members, asyncio.get_running_loop().time())

    async def _without_server(self, rows: list[Outbound], answer: Answer) -> None:
        try:
            for one in rows:
                message = await asyncio.to_thread(self._store.content, one.blob)
                settle = self._settling.settle(_NOWHERE, message, [one], [answer], offers_dsn=True)
                await _to_the_end(settle)
        finally:
            self._done(rows)

    def _wait(self, route: Route, members: list[Outbound], now: float) -> None:
        place = self._destinations.setdefault(route, _Destination(route))
        for start in range(0, len(members), _A_TRANSACTION):
            place.waiting.append(_Group(members[start : start + _A_TRANSACTION], now))
        while place.carriers < min(self._settings.queue.connections, len(place.waiting)):
            place.carriers += 1
            self._start(self._carrier(place))

    def _next_due(self) -> int | None:
        with self._store.database.reading() as conn:
            return outbound.next_due_us(conn)

    def _next_event(self) -> int | None:
        with self._store.database.reading() as conn:
            known = (outbound.next_due_us(conn), submissions.next_release_us(conn))
            return min((one for one in known if one is not None), default=None)

    async def _release(self) -> None:
        """Deliver held submissions whose time has come; each either goes or stays as it is."""
        held = await asyncio.to_thread(self._due_submissions)
        for one in held:
            try:
                await _to_the_end(self._settling.release(one))
            except Unavailable:
                raise
            except Exception:
                log.exception("held submission %d.%d is not released", one.agency, one.number)
                await self._store.database.commit(partial(_again_later, one=one))

    def _due_submissions(self) -> list[Submission]:
        with self._store.database.reading() as conn:
            return submissions.due(conn, self._store.seal, _MOST_RELEASED)

    async def _pause(self) -> float:
        """Seconds until something is due."""
        if len(self._in_flight) >= _MOST_ROWS:
            return _LOOK_AGAIN_S
        due = await asyncio.to_thread(self._next_event)
        if due is None:
            return _LOOK_AGAIN_S
        return min(_LOOK_AGAIN_S, max(0.05, (due - now_us()) / 1_000_000))

    async def _renew(self) -> None:
        """Keep the leases of what is being carried."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            keys = list(self._in_flight)
            if keys:
                until = now_us() + int(self._lease_s * 1_000_000)
                try:
                    await self._store.database.commit(partial(_lease_until, keys=keys, until_us=until))
                except Unavailable:
                    log.warning("leases could not be renewed")

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="queue-carrier")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self) -> None:
        """Let carriers end, give back what is not settled."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = list(self._in_flight)
        self._in_flight.clear()
        self._destinations.clear()
        if left:
            await self._store.database.commit(partial(_lease_until, keys=left, until_us=None))

    # --- carrying

    async def _carrier(self, place: _Destination) -> None:
        """Carry group after group over one connection, until none waits."""
        client: SmtpClient | None = None
        try:
            while place.waiting:
                group = place.waiting.popleft()
                try:
                    client = await self._carry(place, group, client)
                except asyncio.CancelledError:  # its lease is given back by `_stop`
                    if client is not None:
                        client.abort()
                    raise
                except Refused as problem:
                    log.warning("rows for %s stay leased: %s", place.route.name, problem)
                except Exception:
                    log.exception("carrying to %s failed", place.route.name)
                self._done(group.rows)
        finally:
            place.carriers -= 1
            self._woken.set()
            if client is not None:
                await client.quit()

    def _done(self, rows: Iterable[Outbound]) -> None:
        for one in rows:
            self._in_flight.pop((one.agency, one.row), None)

    async def _carry(
        self, place: _Destination, group: _Group, client: SmtpClient | None
    ) -> SmtpClient | None:
        rows = group.rows
        try:
            message = await asyncio.to_thread(self._store.content, rows[0].blob)
        except (LookupError, Refused) as problem:
            await self._hold(rows, f"Không đọc được thư / the message can't be read: {problem}")
            return client
        offers_dsn = True
        if place.failed_at >= group.leased_at:
            answers = [Answer(451, place.failure)] * len(rows)
        else:
            data = await asyncio.to_thread(self._leaving, message, place.route, rows[0].redirected_by)
            try:
                client, answers = await self._send(place, rows, data, client)
                offers_dsn = "DSN" in client.offers
            except Broken as problem:
                client = None
                place.failed_at, place.failure = asyncio.get_running_loop().time(), f"4.4.1 {problem}"
                answers = [Answer(451, place.failure)] * len(rows)
            except Exception as problem:  # waits and expires like any other failure, so it is never lost
                log.exception("carrying to %s failed", place.route.name)
                client = None
                answers = [Answer(451, f"4.3.0 {type(problem).__name__}")] * len(rows)
        settle = self._settling.settle(place.route, message, rows, answers, offers_dsn=offers_dsn)
        await _to_the_end(settle)
        return client

    def _leaving(self, message: bytes, route: Route, redirected_by: str) -> bytes:
        """The bytes of DATA, with our domain's DKIM signatures when they go to others."""
        if route.own:
            return wire_form(message, redirected_by)
        return wire_form(sign_leaving(self._keys, message, now_us() // 1_000_000), redirected_by)

    async def _send(
        self, place: _Destination, rows: Sequence[Outbound], data: bytes, client: SmtpClient | None
    ) -> tuple[SmtpClient, list[Answer]]:
        """Over the connection there is, or a new one (also when the old one turns out to be dead)."""
        letter = Letter(
            rows[0].sender,
            tuple(_to(one, place.route) for one in rows),
            data,
            rows[0].envelope_id,
            rows[0].ret,
        )
        if client is not None:
            try:
                return client, await client.send(letter)
            except Broken:
                client.abort()
                if client.handed_over:
                    raise
        fresh = await SmtpClient.connect(place.route, self._settings.installation.tls_name)
        try:
            return fresh, await fresh.send(letter)
        except BaseException:
            fresh.abort()
            raise

    async def _expire(self, one: Outbound) -> None:
        """An operator gave the row up."""
        try:
            await _to_the_end(self._settling.expire(one))
        except Refused as problem:
            log.warning("row %d.%d is not given up: %s", one.agency, one.row, problem)
        finally:
            self._done([one])

    async def _hold(self, rows: list[Outbound], why: str | None = None) -> None:
        try:
            await _to_the_end(self._settling.hold(rows, why))
        finally:
            self._done(rows)


def _to(row: Outbound, route: Route) -> To:
    """For our own MX we are the ones who tell of success, so it is not asked for again."""
    if not route.own:
        return To(row.recipient, row.notify, row.original_recipient)
    left = ",".join(word for word in row.notify.split(",") if word not in ("SUCCESS", ""))
    return To(row.recipient, left or ("NEVER" if row.notify else ""), row.original_recipient)


async def _to_the_end(work: Coroutine[None, None, None]) -> None:
    """Finish ``work`` also when the courier is stopped in the middle of it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _again_later(conn: sa.Connection, one: Submission) -> None:
    submissions.move(conn, one, now_us() + _RELEASE_AGAIN_US)


def _lease_until(conn: sa.Connection, keys: Sequence[Key], until_us: int | None) -> None:
    table = schema.outbound
    conn.execute(
        sa.update(table)
        .where(table.c.agency == sa.bindparam("a"), table.c.row == sa.bindparam("r"))
        .values(lease_until_us=until_us),
        [{"a": agency, "r": row} for agency, row in keys],
    )
