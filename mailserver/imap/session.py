# SPDX-License-Identifier: AGPL-3.0-or-later
"""One client's session: who it is, what it selected, what it has still to be told. No socket.

Rules that hold everywhere: EXPUNGE is sent only by `tell` with ``expunge=True``; before a command on the
selected mailbox `refresh` takes in what others did, so ``N:*`` sees messages moved in a moment ago (Q10).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from config.settings import Settings
from mailserver.accounts import Account, AccountRef, Accounts
from mailserver.imap.answers import Answers
from mailserver.imap.flags import flag_lines
from mailserver.imap.grammar.lexer import Syntax
from mailserver.imap.grammar.sequences import write_set
from mailserver.imap.naming import Names, NotAllowed, SharedWith
from mailserver.imap.pages import Pages
from mailserver.imap.replies import No
from mailserver.imap.trace import Trace, Traces
from mailserver.imap.view import FEW, View
from mailserver.search.searching import Searches
from mailserver.store import Mailbox, Store

JudgeAppend = Callable[[Account, Mailbox, bytes], str | None]
"""Judges a message put into a shared mailbox: raises `Refused`, or returns words to show (or None)."""

Vouch = Callable[[bytes], Sequence[str]]
"""The mail addresses in a client's certificate (DER) that an authority we trust vouches for now."""

T = TypeVar("T")
_CHUNK = 128 * 1024
_FLAG_RUN = 500


class Output(Protocol):
    """Where replies go."""

    def send(self, data: bytes) -> None:
        """Hand octets to the network; never blocks."""

    async def drained(self) -> None:
        """Return when the client has read enough. Raises ConnectionError when it is gone."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the commands work with."""

    store: Store
    accounts: Accounts
    settings: Settings
    shared: SharedWith
    searches: Searches
    traces: Traces
    judge_append: JudgeAppend | None = None
    vouch: Vouch | None = None
    max_literal: int = 1024 * 1024
    searching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    sessions: Counter[AccountRef] = field(default_factory=Counter)
    sessions_per_account: int = 100
    pages: Pages = field(default_factory=Pages)
    answers: Answers = field(default_factory=Answers)

    @property
    def append_limit(self) -> int:
        """Octets of the largest message APPEND takes."""
        return self.settings.mail.max_message_bytes


@dataclass(slots=True)
class Awaiting:
    """A command that goes on with the client's next line (AUTHENTICATE, IDLE); None when with one more."""

    tag: bytes
    verb: str
    take: Callable[[bytes], Awaitable[bytes | None]]


class Session:
    """The state of one connection (RFC 9051 §3)."""

    __slots__ = (
        "_names",
        "_out",
        "_size",
        "account",
        "awaiting",
        "can_tls",
        "certificate",
        "client",
        "closing",
        "condstore",
        "deflating",
        "failures",
        "idling",
        "output",
        "qresync",
        "rev2",
        "services",
        "start_deflate",
        "start_tls",
        "tag",
        "tls",
        "trace",
        "utf8",
        "view",
    )

    def __init__(self, services: Services, output: Output, client: str, *, tls: bool, can_tls: bool) -> None:
        self.services = services
        self.output = output
        self.client = client
        self.tls = tls
        self.can_tls = can_tls
        self.certificate: bytes | None = None
        """What the client showed in the TLS handshake (DER), its key proven."""
        self.account: Account | None = None
        self.view: View | None = None
        self.condstore = False
        self.qresync = False
        self.rev2 = False
        self.utf8 = False
        self.start_deflate = False
        self.deflating = False
        self.awaiting: Awaiting | None = None
        self.idling = False
        self.closing = False
        self.start_tls = False
        self.failures = 0
        self.trace: Trace | None = None
        self.tag = b"*"
        self._names: Names | None = None
        self._out: list[bytes] = []
        self._size = 0

    # --- who

    @property
    def may_sign_in(self) -> bool:
        """Whether a password may be sent on this connection (RFC 8314; LOGINDISABLED when not)."""
        local = self.client in ("127.0.0.1", "::1")
        return self.tls or (local and self.services.settings.mail.plaintext_on_loopback)

    def signed_in(self, account: Account) -> None:
        """The client is ``account`` from now on. Raises `No` when it has too many sessions (Q27: by person)."""
        sessions = self.services.sessions
        if sessions[account.ref] >= self.services.sessions_per_account:
            raise No(
                "LIMIT",
                "Tài khoản đang mở quá nhiều kết nối. Hãy đóng bớt ứng dụng thư.",
                "This account has too many connections open. Please close some mail programs.",
            )
        sessions[account.ref] += 1
        self.account = account
        services = self.services
        self._names = Names(services.store, services.accounts, account, services.shared)
        self.trace = services.traces.of(account)

    def ended(self) -> None:
        """The connection is gone."""
        self.view = None
        if self.trace is not None:
            self.trace.end()
            self.trace = None
        if self.account is not None:
            self.services.sessions[self.account.ref] -= 1
            self.account = None

    @property
    def person(self) -> Account:
        """Who is signed in. Raises `Syntax` before that."""
        if self.account is None:
            raise Syntax("Please sign in first")
        return self.account

    @property
    def utf8_names(self) -> bool:
        """Whether mailbox names travel as UTF-8 (RFC 9051 §5.1, RFC 6855 §3)."""
        return self.rev2 or self.utf8

    @property
    def names(self) -> Names:
        """The account's name space. Raises `Syntax` before signing in."""
        if self._names is None:
            raise Syntax("Please sign in first")
        return self._names

    @property
    def selected(self) -> View:
        """The selected mailbox. Raises `Syntax` when none is."""
        if self.view is None:
            raise Syntax("No mailbox is selected")
        return self.view

    def writable(self, right: str = "") -> View:
        """The selected mailbox, opened for writing. Raises `No`, also when a letter of ``right`` is missing."""
        view = self.selected
        if view.readonly:
            raise No("READ-ONLY", "Hộp thư đang mở chỉ để đọc.", "The mailbox is open for reading only.")
        if any(one not in view.rights for one in right):
            raise NotAllowed(right)
        return view

    # --- output

    def write(self, data: bytes) -> None:
        """Queue a reply; it leaves at the end of the command or when enough is there."""
        self._out.append(data)
        self._size += len(data)

    def untagged(self, text: bytes) -> None:
        """Queue ``* text``."""
        self.write(b"* %b\r\n" % text)

    def flush(self) -> None:
        """Send what is queued."""
        if self._out:
            data = b"".join(self._out)
            self._out, self._size = [], 0
            if self.trace is not None:
                self.trace.server(data)
            self.output.send(data)

    async def breathe(self) -> None:
        """Between pieces of a long answer: send, wait while the client is slow to read, let others have a turn."""
        if self._size >= _CHUNK:
            self.flush()
            await self.output.drained()
        await asyncio.sleep(0)

    # --- the selected mailbox

    def select(self, view: View | None) -> None:
        """Another mailbox, or none, is selected."""
        self.view = view

    async def refresh(self) -> None:
        """Take in what others did to the selected mailbox, and tell all but expunges."""
        if self.view is not None:
            self._look_at_rights(self.view)
            if await self.absorb():
                await self.tell(expunge=False)

    def _look_at_rights(self, view: View) -> None:
        """What was taken back from a session counts from its next command on. Raises `NotAllowed`."""
        if self.account is not None and view.owner != self.account.ref:
            view.rights = self.names.rights(view.ref, view.owner)
            if "r" not in view.rights:
                self.select(None)
                raise NotAllowed("r")

    async def absorb(self) -> bool:
        """Take in what happened to the selected mailbox, much of it in a thread; returns whether anything did."""
        view = self.selected
        changes = view.pending()
        if not changes:
            return False
        if view.weight(changes) > FEW:
            await asyncio.to_thread(view.take, changes)
        else:
            view.take(changes)
        return True

    async def aside(self, weight: int, job: Callable[[], T]) -> T:
        """What ``job`` gives; made in a thread when its weight (rows, ranges) is more than a few, so that the loop goes on."""
        return job() if weight <= FEW else await asyncio.to_thread(job)

    async def loaded(self) -> View:
        """The selected mailbox with its arrays read."""
        view = self.selected
        if view.is_heavy:
            await asyncio.to_thread(view.load)
        else:
            view.load()
        return view

    async def tell(self, *, expunge: bool) -> None:
        """Write the untagged responses the client is owed (RFC 9051 §7)."""
        view = self.view
        if view is None:
            return
        self.tell_new_only()
        if expunge and view.gone:
            self.write(await self.aside(4 * len(view.gone), partial(_expunged, view, self.qresync)))
        view.told = view.exists
        if view.new_words:
            view.new_words = False
            self.write(
                b"* FLAGS %b\r\n* OK [PERMANENTFLAGS %b] New keywords\r\n"
                % (view.words.all(), view.words.permanent())
            )
        if view.changed:
            changed, view.changed = view.changed, set()
            await self.tell_many_flags(await self.aside(len(changed), partial(_positions, view, changed)))

    def tell_new_only(self) -> None:
        """EXISTS, when messages came: always before anything that names their numbers."""
        view = self.view
        if view is not None and view.exists != view.told:
            view.told = view.exists
            self.write(b"* %d EXISTS\r\n%b" % (view.exists, b"" if self.rev2 else b"* 0 RECENT\r\n"))

    async def tell_many_flags(self, positions: Sequence[int]) -> None:
        """`tell_flags` in pieces, so that others have their turn."""
        for start in range(0, len(positions), _FLAG_RUN):
            self.tell_flags(positions[start : start + _FLAG_RUN])
            await self.breathe()

    def tell_flags(self, positions: Sequence[int]) -> None:
        """FETCH responses with the flags at these positions."""
        view = self.selected
        words, uids, flags = view.words, view.uids, view.all_flags()
        if self.condstore:
            out = [
                b"* %d FETCH (UID %d FLAGS %b MODSEQ (%d))\r\n"
                % (at + 1, uids[at], words[flags[at]], view.modseqs(at))
                for at in positions
            ]
            self.write(b"".join(out))
        else:
            self.write(flag_lines(words, uids, flags, positions))

    async def push(self) -> None:
        """During IDLE: something changed, tell it at once."""
        if self.view is not None:
            await self.absorb()
            await self.tell(expunge=True)
            self.flush()


def _expunged(view: View, qresync: bool) -> bytes:
    """Take the gone messages out of the view; the responses that tell of them (RFC 7162 §3.2.10)."""
    numbers, uids = view.expunge()
    if qresync:
        return b"* VANISHED %b\r\n" % write_set(uids)
    return b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers])


def _positions(view: View, uids: set[int]) -> list[int]:
    return [at for uid in sorted(uids - view.gone) if (at := view.position(uid)) is not None]
