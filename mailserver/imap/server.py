# SPDX-License-Identifier: AGPL-3.0-or-later
"""The IMAP listeners and their connections: the only file that owns sockets (DESIGN 4.5).

A connection has a task only while a command is at work, so thousands may idle. Octets that come while one
is at work wait in a bounded buffer; reading stops when it is full, and making replies stops while the
client does not read them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import cast

from config.refusal import Refused
from config.settings import Settings
from mailserver.accounts import Accounts
from mailserver.imap.commands.capability import capabilities
from mailserver.imap.deflate import Deflate
from mailserver.imap.dispatch import execute
from mailserver.imap.grammar.assembling import Assembler, Command, Continue, Overrun, TooBig
from mailserver.imap.naming import SharedWith, registry_of_clerk
from mailserver.imap.session import JudgeAppend, Services, Session, Vouch
from mailserver.imap.sweeping import sweep
from mailserver.imap.trace import Traces
from mailserver.search.searching import Searches
from mailserver.store import Ref, Store

log = logging.getLogger("congvan.imap")

_LINE_BEFORE, _LINE = 8 * 1024, 64 * 1024
_LITERALS_BEFORE = 64 * 1024
_HELD = 64 * 1024
_HIGH_WATER = 256 * 1024
_COMMANDS_BEFORE = 50
_BEFORE_S, _AUTOLOGOUT_S, _STILL_HERE_S, _STUCK_S = 60.0, 30 * 60.0, 9.5 * 60.0, 300.0
_BACKLOG = 512
_MULTIAPPEND = 2  # times the largest message may come in one APPEND (RFC 3502)


class ImapServer:
    """Serves IMAP on ``settings.listen.imap`` (STARTTLS) and ``imaps``; empty addresses are not served.

    ``shared`` says whose registry mailboxes an account sees (default: a clerk, the own agency's);
    ``judge_append`` judges messages put into shared mailboxes; ``vouch`` names the addresses in a client's
    certificate; ``share_ports``: other processes listen on the same ports.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        settings: Settings,
        ssl_context: ssl.SSLContext | None = None,
        *,
        shared: SharedWith | None = None,
        judge_append: JudgeAppend | None = None,
        share_ports: bool = False,
        vouch: Vouch | None = None,
    ) -> None:
        self._share_ports = share_ports
        self.services = Services(
            store,
            accounts,
            settings,
            shared or registry_of_clerk(accounts),
            Searches(store),
            Traces(store),
            judge_append,
            vouch,
        )
        self.tls = ssl_context
        self.addresses: dict[str, tuple[str, int]] = {}
        self.connections: set[Connection] = set()
        self._watching: dict[Ref, set[Connection]] = {}
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._subscribed = False

    async def start(self) -> None:
        """Listen. ``addresses`` then holds what is served: ``imap`` and ``imaps`` → (host, port)."""
        listen = self.services.settings.listen
        for name, address, tls in (("imap", listen.imap, None), ("imaps", listen.imaps, self.tls)):
            if not address or (name == "imaps" and tls is None):
                continue
            host, _, port = address.rpartition(":")
            server = await asyncio.get_running_loop().create_server(
                lambda secure=tls is not None: Connection(self, secure),
                host.strip("[]"),
                int(port),
                ssl=tls,
                backlog=_BACKLOG,
                reuse_port=self._share_ports or None,
                ssl_handshake_timeout=20 if tls is not None else None,
            )
            self._servers.append(server)
            self.addresses[name] = server.sockets[0].getsockname()[:2]
        if not self._subscribed:
            self._subscribed = True
            self.services.store.wake.subscribe(self._woken)
        self._sweeper = asyncio.create_task(sweep(self.services.store, self.connections))

    async def stop(self) -> None:
        """Stop listening, say BYE, wait a moment for commands at work."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        tasks = [one.task for one in self.connections if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=2)
        for one in list(self.connections):
            one.bye(b"The server is going down")

    def mailbox_changed(self, ref: Ref) -> None:
        """Somebody changed this mailbox: tell those who idle in it. Others ask with their next command."""
        for one in self._watching.get(ref, ()):
            one.changed()

    def _woken(self, topic: str, key: str) -> None:
        if topic != "mailbox":
            return
        agency, _, mailbox = key.partition(".")
        if agency.isdigit() and mailbox.isdigit():
            self.mailbox_changed(Ref(int(agency), int(mailbox)))

    def watch(self, connection: Connection, old: Ref | None, new: Ref | None) -> None:
        """Note which mailbox a connection has selected."""
        if old is not None and (known := self._watching.get(old)) is not None:
            known.discard(connection)
            if not known:
                del self._watching[old]
        if new is not None:
            self._watching.setdefault(new, set()).add(connection)


class Connection(asyncio.Protocol):
    """One client."""

    __slots__ = (
        "_assembler",
        "_commands",
        "_deflate",
        "_ended",
        "_heard",
        "_loop",
        "_paused",
        "_push_due",
        "_resumed",
        "_server",
        "_stuck_since",
        "_told",
        "_transport",
        "_watched",
        "session",
        "task",
    )

    def __init__(self, server: ImapServer, tls: bool) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._assembler = Assembler(_LINE_BEFORE, self._literal_limit)
        self._resumed: asyncio.Future[None] | None = None
        self._paused = self._push_due = self._ended = False
        self._stuck_since: float | None = None
        self._watched: Ref | None = None
        self._heard = self._told = self._loop.time()
        self._commands = 0
        self._deflate: Deflate | None = None
        self.task: asyncio.Task[None] | None = None
        self.session = Session(server.services, self, "", tls=tls, can_tls=server.tls is not None)

    def _literal_limit(self, verb: bytes) -> tuple[int, int]:
        if self.session.account is None:
            return _LITERALS_BEFORE, _LITERALS_BEFORE
        services = self._server.services
        if verb == b"APPEND":
            return services.append_limit, _MULTIAPPEND * services.append_limit
        return services.max_literal, services.max_literal

    # --- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        peer = transport.get_extra_info("peername")
        self.session.client = peer[0] if peer else ""
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if (inside := transport.get_extra_info("ssl_object")) is not None:
            self.session.certificate = inside.getpeercert(True)
        self._server.connections.add(self)
        name = self._server.services.settings.installation.tls_name.encode("ascii", "replace")
        self.send(b"* OK [CAPABILITY %b] %b congvan\r\n" % (capabilities(self.session), name))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything."""
        self._transport = None
        self._server.connections.discard(self)
        self._server.watch(self, self._watched, None)
        self._watched = None
        if self.task is None:
            self.session.ended()
        self._wake_writer()

    def data_received(self, data: bytes) -> None:
        """Take octets; begin to work unless a command is at work already."""
        self._heard = self._loop.time()
        held = 0
        if self._deflate is None:
            self._assembler.feed(data)
        else:
            self._deflate.take(data)
            held = self._deflate.held
        if self.task is None:
            self.task = self._loop.create_task(self._work())
        elif self._transport is not None and self._assembler.held + held > _HELD:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client writes no more: finish what is at work, then close."""
        if self.task is not None and not self.session.tls:
            self._ended = True
            return True
        return False

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._paused = True
        self._stuck_since = self._loop.time()

    def resume_writing(self) -> None:
        """The client has read."""
        self._paused = False
        self._stuck_since = None
        self._wake_writer()
        if self.session.idling:
            self.changed()

    def _wake_writer(self) -> None:
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self._resumed = None

    # --- output

    def send(self, data: bytes) -> None:
        """Hand octets to the network."""
        if self._transport is not None:
            self._told = self._loop.time()
            self._transport.write(data if self._deflate is None else self._deflate.deflate(data))

    async def drained(self) -> None:
        """Return when the client has read enough."""
        if self._paused and self._transport is not None:
            if self._resumed is None:
                self._resumed = self._loop.create_future()
            await self._resumed
        if self._transport is None:
            raise ConnectionResetError

    def bye(self, reason: bytes) -> None:
        """End the connection from our side."""
        if self._transport is not None:
            self.session.flush()
            self.send(b"* BYE %b\r\n" % reason)
            self._transport.close()

    # --- work

    async def _work(self, *, push: bool = False) -> None:
        """Commands until no whole one is left; with ``push`` first the news of an idler."""
        try:
            if push:
                await self._tell_idler()
            while self._transport is not None and not self._transport.is_closing():
                event = self._assembler.next()
                while event is None and self._deflate is not None and (more := self._deflate.inflate()):
                    self._assembler.feed(more)
                    event = self._assembler.next()
                if event is None:
                    if self._ended:
                        self._transport.close()
                    break
                await self._handle(event)
                if self._transport is not None and not self._transport.is_reading():
                    self._transport.resume_reading()
        except (ConnectionError, ssl.SSLError, TimeoutError):
            if self._transport is not None:
                self._transport.abort()
        finally:
            self.task = None
            if self._transport is None:
                self.session.ended()

    async def _handle(self, event: Command | Continue | TooBig | Overrun) -> None:
        session = self.session
        if isinstance(event, Command):
            await execute(session, event)
            self._watch()
            self._assembler.line_limit = _LINE_BEFORE if session.account is None else _LINE
            self._commands += 1
            if session.account is None and self._commands > _COMMANDS_BEFORE:
                self.bye(b"Too many commands")
                return
        elif isinstance(event, Continue):
            session.write(b"+ Ready\r\n")
        elif isinstance(event, TooBig):
            text = f"{event.limit} byte là giới hạn / the limit is {event.limit} octets".encode()
            session.write(b"%b NO [TOOBIG] %b\r\n" % (event.tag, text))
        else:
            self.bye(event.reason.encode())
            return
        session.flush()
        if session.start_tls:
            await self._start_tls()
        elif session.start_deflate:
            session.start_deflate, session.deflating = False, True
            self._assembler.discard()
            self._deflate = Deflate()
        elif session.closing and self._transport is not None:
            self._transport.close()
        await self.drained()

    async def _start_tls(self) -> None:
        """What came in clear behind STARTTLS is thrown away; the session begins anew (S2)."""
        session, context = self.session, self._server.tls
        session.start_tls = False
        if self._transport is None or context is None:
            return
        self._assembler.discard()
        upgraded = await self._loop.start_tls(
            self._transport, self, context, server_side=True, ssl_handshake_timeout=20
        )
        if upgraded is not None:
            self._transport = upgraded
            upgraded.set_write_buffer_limits(high=_HIGH_WATER)
            session.certificate = upgraded.get_extra_info("ssl_object").getpeercert(True)
        session.tls = True

    def _watch(self) -> None:
        view = self.session.view
        new = view.ref if view is not None and self._transport is not None else None
        if new != self._watched:
            self._server.watch(self, self._watched, new)
            self._watched = new

    # --- news

    def changed(self) -> None:
        """The selected mailbox changed: an idler is told at once, unless it does not read."""
        if self.session.idling and not self._paused and not self._push_due:
            self._push_due = True
            self._loop.call_soon(self._push)

    def _push(self) -> None:
        self._push_due = False
        if self.session.idling and self._transport is not None and not self._paused and self.task is None:
            self.task = self._loop.create_task(self._work(push=True))

    async def _tell_idler(self) -> None:
        try:
            await self.session.push()
        except Refused:
            log.warning("could not look into a mailbox for an idling client")
        except Exception:
            log.exception("pushing to an idling client failed")
            self.bye(b"[UNAVAILABLE] Please come again")

    def sweep(self, now: float) -> None:
        """The regular look of the server."""
        session = self.session
        if self._stuck_since is not None and now - self._stuck_since > _STUCK_S:
            if self._transport is not None:
                self._transport.abort()
        elif session.account is None and now - self._heard > _BEFORE_S:
            self.bye(b"Nobody signed in")
        elif session.idling:
            if now - self._told > _STILL_HERE_S and not self._paused:
                self.send(b"* OK Still here\r\n")
        elif self.task is None and now - self._heard > _AUTOLOGOUT_S:
            self.bye(b"Nothing was heard for 30 minutes")
