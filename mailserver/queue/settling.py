# SPDX-License-Identifier: AGPL-3.0-or-later
"""What follows an attempt: the row goes, waits, is held, or comes back to its sender as a notice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused, Unavailable
from config.settings import Settings
from mailserver.accounts import Accounts
from mailserver.accounts.model import domain_of
from mailserver.delivery import Delivery, Incoming, Recipient
from mailserver.queue import notices
from mailserver.queue.client import Answer
from mailserver.queue.notices import Action, Report
from mailserver.queue.routes import Route
from mailserver.store import Store, outbound
from mailserver.store.outbound import Outbound
from mailserver.store.submissions import Submission
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

log = logging.getLogger("congvan.queue")
TOLD = "[đã báo người gửi / sender told] "
"""Begins the answer kept in a row whose sender got the notice of delay."""

_HOUR_US = 3_600_000_000
Job: TypeAlias = Callable[[sa.Connection], None]


class Settling:
    """Writes down how attempts ended."""

    def __init__(self, store: Store, accounts: Accounts, delivery: Delivery, settings: Settings) -> None:
        self._store = store
        self._accounts = accounts
        self._delivery = delivery
        self._hostname = settings.installation.tls_name
        self._waits = settings.queue.retry_minutes or [60]
        self._expire_us = settings.queue.expire_hours * _HOUR_US
        self._late_us = settings.queue.delay_notice_hours * _HOUR_US

    async def settle(
        self,
        route: Route,
        message: bytes,
        rows: Sequence[Outbound],
        answers: Sequence[Answer],
        *,
        offers_dsn: bool,
    ) -> None:
        """Settle one transaction: ``answers`` has one for each of ``rows``."""
        sent = [(row, answer) for row, answer in zip(rows, answers, strict=True) if answer.good]
        rest = [(row, answer) for row, answer in zip(rows, answers, strict=True) if not answer.good]
        now = now_us()
        lost = [
            (row, answer)
            for row, answer in rest
            if answer.permanent or now - row.created_us >= self._expire_us
        ]
        late = [pair for pair in rest if pair not in lost]
        if sent:
            await self._sent(route, message, sent, offers_dsn)
        if late:
            await self._postpone(route, message, late)
        if lost:
            await self._give_up(route, message, lost)

    async def _sent(
        self, route: Route, message: bytes, pairs: list[tuple[Outbound, Answer]], offers_dsn: bool
    ) -> None:
        action: Action = "delivered" if route.own else "relayed"
        asked: list[tuple[Outbound, Answer]] = []
        if route.own or not offers_dsn:
            asked = [pair for pair in pairs if notices.wanted(action, pair[0].notify, pair[0].sender)]
        await self._tell(action, route, message, asked, self._finishing("mail.sent", route, pairs))

    async def _postpone(self, route: Route, message: bytes, pairs: list[tuple[Outbound, Answer]]) -> None:
        now = now_us()
        tell = [pair for pair in pairs if self._tells_delay(pair[0], now)]

        def job(conn: sa.Connection) -> None:
            for pair in pairs:
                row, answer = pair
                wait = self._waits[min(row.attempts, len(self._waits) - 1)]
                told = TOLD if pair in tell or row.last_answer.startswith(TOLD) else ""
                words = f"{told}{answer.code} {answer.text}"
                outbound.postpone(conn, self._store.seal, row, now + wait * 60_000_000, words)

        await self._tell("delayed", route, message, tell, job)

    def _tells_delay(self, row: Outbound, now: int) -> bool:
        if row.last_answer.startswith(TOLD):
            return False
        early = now - row.created_us < self._late_us
        return notices.wanted("delayed", row.notify, row.sender, asked_only=early)

    async def _give_up(self, route: Route, message: bytes, pairs: list[tuple[Outbound, Answer]]) -> None:
        tell = [pair for pair in pairs if notices.wanted("failed", pair[0].notify, pair[0].sender)]
        try:
            await self._tell("failed", route, message, tell, self._finishing("mail.failed", route, pairs))
        except Unavailable:
            raise
        except Refused as problem:
            log.error("a notice of failure could not be delivered: %s", problem)
            await self.hold([row for row, _ in tell], f"Không báo được cho người gửi / no notice: {problem}")
            await self._finish("mail.failed", route, [pair for pair in pairs if pair not in tell])

    async def _finish(self, kind: str, route: Route, pairs: Sequence[tuple[Outbound, Answer]]) -> None:
        if pairs:
            await self._store.database.commit(self._finishing(kind, route, pairs))

    def _finishing(self, kind: str, route: Route, pairs: Sequence[tuple[Outbound, Answer]]) -> Job:
        def job(conn: sa.Connection) -> None:
            for row, answer in pairs:
                outbound.finish(conn, row)
                detail: dict[str, JSON] = {
                    "recipient": row.recipient,
                    "route": route.name,
                    "answer": f"{answer.code} {answer.text}"[:500],
                    "attempts": row.attempts + 1,
                    "queued_us": row.created_us,
                }
                record(conn, self._store.seal, kind, row.sender or "<>", detail)

        return job

    async def hold(self, rows: Sequence[Outbound], why: str | None = None) -> None:
        """Hold rows for an operator. Without ``why``: there is no route for their domain; the sender is told."""
        if why is None:
            # A notice that has nowhere to go is dropped: nobody could be told, and strangers could fill the queue.
            notices_lost = [(row, Answer(550, f"5.4.4 {_no_route(row)}")) for row in rows if not row.sender]
            await self._finish("mail.failed", Route("", 0), notices_lost)
            rows = await self._hold_and_tell([row for row in rows if row.sender])
        if rows:
            await self._store.database.commit(self._holding(rows, why, tells=False))

    def _holding(self, rows: Sequence[Outbound], why: str | None, *, tells: bool) -> Job:
        def job(conn: sa.Connection) -> None:
            for row in rows:
                known = tells or row.last_answer.startswith(TOLD)
                words = (TOLD if known else "") + (why or _no_route(row))
                outbound.hold(conn, self._store.seal, row, words)

        return job

    async def _hold_and_tell(self, rows: Sequence[Outbound]) -> list[Outbound]:
        """Hold what senders are told of, once for each message and with the notice; gives back the other rows."""
        groups: dict[tuple[int, str, str], list[Outbound]] = {}
        for row in rows:
            if not row.last_answer.startswith(TOLD) and notices.wanted("delayed", row.notify, row.sender):
                groups.setdefault((row.blob, row.sender, row.envelope_id), []).append(row)
        held: set[tuple[int, int]] = set()
        for members in groups.values():
            pairs = [(row, Answer(450, f"4.4.4 {_no_route(row)}")) for row in members]
            try:
                message = await asyncio.to_thread(self._store.content, members[0].blob)
                holding = self._holding(members, None, tells=True)
                await self._tell("delayed", Route("", 0), message, pairs, holding)
            except Unavailable:
                raise
            except (LookupError, Refused) as problem:
                log.warning("the sender of a held message was not told: %s", problem)
            else:
                held |= {(row.agency, row.row) for row in members}
        return [row for row in rows if (row.agency, row.row) not in held]

    async def release(self, one: Submission) -> None:
        """Deliver a held submission; in the same transaction its sender is told who is not there any more."""
        lost, along = self._delivery.lost(one), None
        told = one.envelope
        pairs = [
            (_as_row(one, recipient), Answer(550, f"5.1.1 {problem.en} {problem.vi}"))
            for recipient, problem in lost
            if notices.wanted("failed", recipient.notify, told.sender)
        ]
        if pairs:
            message = await asyncio.to_thread(self._store.content, one.blob)
            notice = self._notice("failed", Route("", 0), message, pairs)
            try:
                along = await self._delivery.prepared(_bounce(told.sender, notice))
            except Unavailable:
                raise
            except Refused:
                along = await self._delivery.prepared(_bounce(self._postmaster(), notice))
        await self._delivery.release(one, [recipient.address for recipient, _ in lost], along)

    async def expire(self, row: Outbound) -> None:
        """An operator gave a row up: its sender is told, then it goes."""
        why = "5.4.7 Quản trị hệ thống ngừng gửi thư này / the system officer ended this message"
        try:
            message = await asyncio.to_thread(self._store.content, row.blob)
        except (LookupError, Refused) as problem:
            await self.hold([row], f"Không đọc được thư / the message can't be read: {problem}")
            return
        await self._give_up(Route("", 0), message, [(row, Answer(554, why))])

    # --- notices

    async def _tell(
        self,
        action: Action,
        route: Route,
        message: bytes,
        pairs: Sequence[tuple[Outbound, Answer]],
        along: Job,
    ) -> None:
        """One notice about all ``pairs`` (they have one sender), accepted in one transaction with ``along``."""
        if not pairs:
            await self._store.database.commit(along)
            return
        notice = self._notice(action, route, message, pairs)
        try:
            await self._delivery.deliver(_bounce(pairs[0][0].sender, notice), along)
        except Unavailable:
            raise
        except Refused:
            if action == "failed":
                await self._delivery.deliver(_bounce(self._postmaster(), notice), along)
                return
            log.warning("a notice (%s) found no mailbox", action)
            await self._store.database.commit(along)

    def _notice(
        self, action: Action, route: Route, message: bytes, pairs: Sequence[tuple[Outbound, Answer]]
    ) -> bytes:
        first = pairs[0][0]
        return notices.build(
            action,
            hostname=self._hostname,
            sender=first.sender,
            envelope_id=first.envelope_id,
            arrived_us=min(row.created_us for row, _ in pairs),
            original=message,
            reports=[self._report(action, route, row, answer) for row, answer in pairs],
            whole=first.ret == "FULL" and action == "failed",
        )

    def _postmaster(self) -> str:
        """Who gets a notice whose addressee is gone."""
        officer = next((one.address for one in self._accounts.all() if one.role == "system-officer"), None)
        here = (one.registry_address for one in self._accounts.agencies() if not one.elsewhere)
        return officer or next(here)

    def _report(self, action: Action, route: Route, row: Outbound, answer: Answer) -> Report:
        status = answer.status
        text = f"{answer.code} {answer.text}"
        if action == "failed" and not answer.permanent:
            status = "5.4.7"
            hours = self._expire_us // _HOUR_US
            text = f"Đã thử gửi trong {hours} giờ / tried for {hours} hours: {text}"
        until = row.created_us + self._expire_us if action == "delayed" and route.host else None
        return Report(row.recipient, row.original_recipient, status, text, route.host, until)


def _bounce(address: str, notice: bytes) -> Incoming:
    return Incoming(sender="", recipients=(Recipient(address),), data=notice, door="bounce")


def _no_route(row: Outbound) -> str:
    domain = domain_of(row.recipient)
    return (
        f"Chưa có tuyến gửi đến miền {domain}: quản trị thêm vào [queue] routes rồi chạy `congvan queue retry`. "
        f"No route to the domain {domain}: add one to [queue] routes, then run `congvan queue retry`."
    )


def _as_row(one: Submission, to: Recipient) -> Outbound:
    """A recipient of a held submission as a notice speaks of it."""
    told = one.envelope
    return Outbound(
        one.agency,
        0,
        one.blob,
        told.sender,
        to.address,
        to.notify,
        to.original,
        told.envelope_id,
        "waiting",
        one.created_us,
        one.release_us,
        0,
        "",
        told.ret,
    )
