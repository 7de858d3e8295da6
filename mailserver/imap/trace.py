# SPDX-License-Identifier: AGPL-3.0-or-later
"""The protocol trace an officer switches on for one account for a while (Q35), to see why a client misbehaves.

It shows commands, replies, numbers and flags, never what a letter says: contents of literals, the quoted
strings of FETCH replies and of searches are replaced by their lengths. It begins after signing in, so no
password is ever in it. Pages are sealed and bounded; switching on is a ledger entry.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime

import sqlalchemy as sa

from config.clock import now_us
from config.seal import Seal
from mailserver.accounts import Account, AccountRef
from mailserver.accounts.schema import next_number
from mailserver.imap.grammar.assembling import Command
from mailserver.imap.schema import trace_page, trace_switch
from mailserver.store import Store
from policy.ledger.entries import record

LONGEST_MINUTES = 24 * 60
_LOOK_AGAIN_S = 5.0
_PAGE = 16 * 1024
_LONGEST_LINE = 400
_MOST_PAGES = 200
_LITERAL = re.compile(rb"\{(\d{1,12})\+?\}\r\n")
_STRING = re.compile(rb'"((?:\\.|[^"\\])*)"')
_SEARCHES = re.compile(rb"\S+ +(?:UID +)?(?:SEARCH|SORT|THREAD)\b", re.I)


class Traces:
    """Knows for whom the trace is on; one for a server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._on: dict[AccountRef, int] = {}
        self._looked = 0.0

    def of(self, account: Account) -> Trace | None:
        """A trace for a new session of ``account``, None when it is not switched on."""
        if time.monotonic() - self._looked > _LOOK_AGAIN_S:
            with self._store.database.reading() as conn:
                rows = conn.execute(sa.select(trace_switch).where(trace_switch.c.until_us > now_us()))
                self._on = {AccountRef(row.agency, row.account): row.until_us for row in rows}
            self._looked = time.monotonic()
        until = self._on.get(account.ref, 0)
        return Trace(self._store, account.ref, until) if until > now_us() else None


class Trace:
    """The trace of one session, until ``until_us``."""

    def __init__(self, store: Store, ref: AccountRef, until_us: int) -> None:
        self._store, self._ref, self._until = store, ref, until_us
        self._session = f"{time.monotonic_ns() & 0xFFFFF:05x}"
        self._lines: list[str] = []
        self._size = 0
        self._skip = 0
        self._writing: set[asyncio.Task[None]] = set()

    def client(self, command: Command) -> None:
        """What the client said."""
        text = b""
        for place, part in enumerate(command.fragments):
            text += part
            if place < len(command.literals):
                text += b"<%d octets>" % len(command.literals[place])
        if _SEARCHES.match(text):
            text = _STRING.sub(_length, text)
        self._note("C", text)

    def server(self, data: bytes) -> None:
        """What is sent to the client; a literal may go on from the piece before."""
        rest, shown = data[self._skip :], b""
        self._skip = max(0, self._skip - len(data))
        while (found := _LITERAL.search(rest)) is not None:
            octets = int(found[1])
            shown += rest[: found.start()] + b"{%d}<%d octets>" % (octets, octets)
            self._skip = max(0, octets - (len(rest) - found.end()))
            rest = rest[found.end() + octets :]
        for line in (shown + rest).split(b"\r\n"):
            if line:
                quiet = b" FETCH (" in line[:40] or line.startswith(b" ")
                self._note("S", _STRING.sub(_length, line) if quiet else line)

    def end(self) -> None:
        """The session is over."""
        self._note("-", b"the session ended")
        self._write()

    def _note(self, side: str, text: bytes) -> None:
        if now_us() > self._until:
            return
        cut = text[:_LONGEST_LINE].decode("utf-8", "replace")
        more = f" … {len(text)} octets" if len(text) > _LONGEST_LINE else ""
        moment = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
        self._lines.append(f"{moment} {self._session} {side} {cut}{more}")
        self._size += len(self._lines[-1])
        if self._size >= _PAGE:
            self._write()

    def _write(self) -> None:
        text, self._lines, self._size = "\n".join(self._lines), [], 0
        if text:
            task = asyncio.get_running_loop().create_task(self._keep(text))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _keep(self, text: str) -> None:
        def job(conn: sa.Connection) -> None:
            on = (trace_switch.c.agency == self._ref.agency, trace_switch.c.account == self._ref.account)
            if conn.execute(sa.select(trace_switch.c.until_us).where(*on)).first() is None:
                return  # switched off and forgotten meanwhile
            page = next_number(conn, self._ref.agency, "trace")
            here = (trace_page.c.agency == self._ref.agency, trace_page.c.account == self._ref.account)
            conn.execute(
                sa.insert(trace_page).values(
                    agency=self._ref.agency,
                    account=self._ref.account,
                    page=page,
                    at_us=now_us(),
                    sealed=self._store.seal.seal_text(text, _aad(self._ref, page)),
                )
            )
            oldest = conn.execute(
                sa.select(trace_page.c.page)
                .where(*here)
                .order_by(trace_page.c.page.desc())
                .offset(_MOST_PAGES)
                .limit(1)
            ).scalar()
            if oldest is not None:
                conn.execute(sa.delete(trace_page).where(*here, trace_page.c.page <= oldest))

        await self._store.database.commit(job)


def switch_on(conn: sa.Connection, seal: Seal, who: Account, minutes: int, by: str) -> int:
    """Trace ``who`` for so many minutes (at most `LONGEST_MINUTES`); returns until when, in µs UTC."""
    until = now_us() + min(max(1, minutes), LONGEST_MINUTES) * 60_000_000
    _forget_switch(conn, who.ref)
    conn.execute(
        sa.insert(trace_switch).values(agency=who.ref.agency, account=who.ref.account, until_us=until)
    )
    record(conn, seal, "account.trace-on", who.address, {"minutes": minutes, "by": by})
    return until


def switch_off(conn: sa.Connection, seal: Seal, who: Account, by: str) -> None:
    """Trace no more, and forget what was traced."""
    _forget_switch(conn, who.ref)
    conn.execute(
        sa.delete(trace_page).where(
            trace_page.c.agency == who.ref.agency, trace_page.c.account == who.ref.account
        )
    )
    record(conn, seal, "account.trace-off", who.address, {"by": by})


def read(conn: sa.Connection, seal: Seal, ref: AccountRef) -> list[str]:
    """The traced lines of an account, oldest first."""
    rows = conn.execute(
        sa.select(trace_page)
        .where(trace_page.c.agency == ref.agency, trace_page.c.account == ref.account)
        .order_by(trace_page.c.page)
    )
    return [line for row in rows for line in seal.open_text(row.sealed, _aad(ref, row.page)).split("\n")]


def _forget_switch(conn: sa.Connection, ref: AccountRef) -> None:
    conn.execute(
        sa.delete(trace_switch).where(
            trace_switch.c.agency == ref.agency, trace_switch.c.account == ref.account
        )
    )


def _length(found: re.Match[bytes]) -> bytes:
    return b'"<%d>"' % len(found[1])


def _aad(ref: AccountRef, page: int) -> bytes:
    return f"trace {ref.agency}.{ref.account}.{page}".encode()
