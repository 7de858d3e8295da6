# SPDX-License-Identifier: AGPL-3.0-or-later
"""One SMTP connection: greeting, EHLO, STARTTLS, the order of commands, their bounds and their end.

On aiosmtpd's `SMTP` (its protocol, session, envelope and ``smtp_*`` dispatch table); reading lines, EHLO,
STARTTLS and DATA are ours. The envelope is in `envelope.py`, the content in `transaction.py`, AUTH in `signing_in.py`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from aiosmtpd.smtp import SMTP

from config.clock import now_us, to_utc
from mailserver.accounts import Account, Accounts
from mailserver.delivery import Delivery
from mailserver.hygiene.screening import Screening
from mailserver.smtp.errors import reply
from mailserver.smtp.spool import Spool
from mailserver.smtp.wire import BadLine, EndOfInput, LineTooLong, WireReader

log = logging.getLogger("congvan.smtp")
logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's own log repeats whole command lines

Kind: TypeAlias = Literal["mx", "submission", "lmtp"]

_MOST_STRANGERS = 200  # one address may stand for a whole office, so only those not signed in count
_MOST_ERRORS = 20
_MOST_ERRORS_SIGNED_IN = 200
_LONGEST_COMMAND = 2048
_LONGEST_AUTH = 12288  # RFC 4954 §4.3
_TIMEOUT_S = 300.0  # RFC 5321 §4.5.3.2.7
_FIRST_TIMEOUT_S = 60.0
_OTHER_PROTOCOLS = frozenset({"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS"})


@dataclass(slots=True)
class Serving:
    """What all sessions of one listener share."""

    kind: Kind
    delivery: Delivery
    accounts: Accounts
    hostname: str
    name: str
    max_recipients: int
    tls: ssl.SSLContext | None
    plaintext_sign_in_from_loopback: bool
    live: set[SessionBase]
    most: int
    spool: Spool
    screening: Screening | None = None
    hold_seconds: int = 0
    """How long a submission may ask to be held (RFC 4865); 0: not offered."""
    vouch: Callable[[bytes], Sequence[str]] | None = None
    """The mail addresses in a client's certificate (DER) that an authority we trust vouches for now."""


class SessionBase(SMTP):
    """The connection and its commands but for AUTH and the mail transaction."""

    session_reader: WireReader

    def __init__(self, serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            None,
            hostname=serving.hostname,
            enable_SMTPUTF8=True,
            timeout=_TIMEOUT_S,
            loop=loop,
        )
        self.serving = serving
        self.session_reader = WireReader(loop)
        asyncio.StreamReaderProtocol.__init__(self, self.session_reader, self._cb_client_connected, loop=loop)
        self.client = ""
        self.tls_words = ""
        self.certificate: bytes | None = None
        self.account: Account | None = None
        self.busy = False
        self._errors = 0
        self._closing = False
        self._deadline = self._fires_at = 0.0
        self._waiting: list[bytes] = []

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._note_tls()
        self._reset_timeout(_FIRST_TIMEOUT_S)
        if len(self.serving.live) >= self.serving.most or self._others_from_here() >= _MOST_STRANGERS:
            self._say_and_close(421, "4.3.2", "Too many connections, try again later", "Máy chủ đang bận.")
            return
        self.serving.live.add(self)

    def _others_from_here(self) -> int:
        """Sessions of the same address that have not signed in; this very machine is not counted."""
        if self._loopback:
            return 0
        return sum(one.client == self.client and one.account is None for one in self.serving.live)

    @property
    def _loopback(self) -> bool:
        return self.client.startswith("127.") or self.client in ("::1", "")

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the session."""
        self.serving.live.discard(self)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The peer sends no more: what it sent is still answered (the stock session drops it)."""
        return asyncio.StreamReaderProtocol.eof_received(self)

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Begin the time limit anew. A timer that fires too early is set again: cheaper than a new one a command."""
        now = self.loop.time()
        self._deadline = now + (duration or _TIMEOUT_S)
        if self._timeout_handle is None or self._deadline < self._fires_at:
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            self._set_timer()

    def _set_timer(self) -> None:
        self._fires_at = self._deadline
        self._timeout_handle = self.loop.call_at(self._fires_at, self._timeout_cb)

    def _timeout_cb(self) -> None:
        if self.loop.time() < self._deadline:
            self._set_timer()
            return
        self._say_and_close(421, "4.4.2", "Timeout, closing", "Quá thời gian chờ.")

    def _say_and_close(self, code: int, enhanced: str, *words: str) -> None:
        self._closing = True
        if self.transport is not None:
            self._waiting.append(reply(code, enhanced, *words))
            self._flush()
            self.transport.close()

    def shut_down(self) -> None:
        """End the session: at once when it is idle, else after the command in hand."""
        self._closing = True
        if not self.busy:
            self._say_and_close(
                421, "4.3.2", "Server is shutting down", "Máy chủ đang dừng, hãy thử lại sau."
            )

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return bool(self.tls_words)

    def _note_tls(self) -> None:
        found = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        if found is None:
            return
        self.certificate = found.getpeercert(True)
        cipher = found.cipher()
        self.tls_words = f"{found.version()} {cipher[0]}" if cipher else str(found.version())

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that serves this connection."""
        return self._handler_coroutine

    def _set_rset_state(self) -> None:
        self._set_post_data_state()

    def _set_post_data_state(self) -> None:
        self.envelope = self._create_envelope()

    # --- answers

    async def push(self, status: str | bytes) -> None:
        """Queue a reply; it leaves with those before it once no further command is waiting (RFC 2920)."""
        line = status.encode("utf-8") if isinstance(status, str) else status
        # 4yz is our trouble or a matter of time, not the client's error; 454 is one who tries passwords.
        if line.startswith((b"5", b"454")):
            self._errors += 1
        self._waiting.append(line)
        if not self.session_reader.holds_a_line or len(self._waiting) > 100:
            await self.flush()

    async def flush(self) -> None:
        """Send what is queued."""
        self._flush()
        if self.transport is not None:
            await self._writer.drain()

    def _flush(self) -> None:
        if self._waiting and self.transport is not None:
            self._writer.write(b"\r\n".join(self._waiting) + b"\r\n")
        self._waiting.clear()

    async def say(self, code: int, enhanced: str, *words: str) -> None:
        """Queue a reply of ours."""
        await self.push(reply(code, enhanced, *words, utf8=self.utf8))

    @property
    def utf8(self) -> bool:
        """Whether replies may hold letters outside ASCII now."""
        return self.envelope is not None and self.envelope.smtp_utf8

    # --- the loop

    async def _handle_client(self) -> None:
        """Greet, then read and carry out commands until one side ends."""
        try:
            if not self._closing:
                kind = "LMTP" if self.serving.kind == "lmtp" else "ESMTP"
                await self.say(220, "", f"{self.serving.hostname} {kind} {self.serving.name}")
            while self.transport is not None and not self._closing:
                await self._next_command()
            await self.flush()
        except (EndOfInput, ConnectionError, ssl.SSLError):
            log.debug("a connection ended early")
        except LineTooLong:
            self._say_and_close(421, "4.5.2", "Line too long, closing", "Dòng lệnh quá dài.")
        except Exception:
            log.exception("a session failed")
            self._say_and_close(
                421, "4.3.0", "Internal error, closing", "Lỗi trong máy chủ, hãy thử lại sau."
            )
        finally:
            if self.transport is not None:
                self.transport.close()

    async def _next_command(self) -> None:
        self.busy = False
        try:
            line = await self.session_reader.line()
        except BadLine:
            await self.say(500, "5.5.2", "Lines end in CRLF and hold no CR, LF or NUL", "Dòng lệnh sai dạng.")
            self._after_command()
            return
        self.busy = True
        word, _, rest = line.partition(b" ")
        command = word.upper().decode("ascii", "replace")
        if len(line) > (_LONGEST_AUTH if command == "AUTH" else _LONGEST_COMMAND):
            await self.say(500, "5.5.2", "Command line too long", "Dòng lệnh quá dài.")
        elif command in _OTHER_PROTOCOLS:
            self._say_and_close(421, "4.7.0", "This is an SMTP server", "Đây là máy chủ SMTP.")
        elif (method := self._smtp_methods.get(command)) is None:
            await self.say(500, "5.5.1", "Command not recognized", "Không có lệnh này.")
        else:
            try:
                argument = rest.decode("utf-8").strip(" ")
            except UnicodeDecodeError:
                await self.say(501, "5.5.2", "Arguments are UTF-8", "Lệnh sai dạng.")
            else:
                self._reset_timeout()
                await method(argument)
        self._after_command()

    def _after_command(self) -> None:
        most = _MOST_ERRORS if self.account is None else _MOST_ERRORS_SIGNED_IN
        if self._errors >= most:
            self._say_and_close(421, "4.7.0", "Too many errors, closing", "Quá nhiều lỗi.")
        elif self._closing and self.transport is not None:
            self._say_and_close(
                421, "4.3.2", "Server is shutting down", "Máy chủ đang dừng, hãy thử lại sau."
            )

    # --- commands

    async def smtp_HELO(self, hostname: str) -> None:
        """HELO (RFC 5321 §4.1.1.1)."""
        assert self.session is not None
        if not hostname:
            await self.say(501, "5.5.4", "Syntax: HELO hostname")
            return
        self._set_rset_state()
        self.session.extended_smtp = False
        self.session.host_name = hostname
        await self.say(250, "", self.serving.hostname)

    async def smtp_EHLO(self, hostname: str) -> None:
        """EHLO and what we offer on this connection now."""
        assert self.session is not None
        if not hostname:
            await self.say(501, "5.5.4", "Syntax: EHLO hostname")
            return
        self._set_rset_state()
        self.session.extended_smtp = True
        self.session.host_name = hostname
        offers = [
            self.serving.hostname,
            "PIPELINING",
            f"SIZE {self.serving.delivery.max_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            "DSN",
            f"LIMITS RCPTMAX={self.serving.max_recipients}",  # RFC 9422
        ]
        if self.serving.kind == "submission" and self.serving.hold_seconds:
            latest = to_utc(now_us() + self.serving.hold_seconds * 1_000_000)
            offers.append(f"FUTURERELEASE {self.serving.hold_seconds} {latest:%Y-%m-%dT%H:%M:%SZ}")
        if self.serving.tls is not None and not self.secure:
            offers.append("STARTTLS")
        if self.may_sign_in and self.account is None:
            offers.append("AUTH PLAIN LOGIN" + (" EXTERNAL" if self.certificate is not None else ""))
        await self.push(reply(250, "", *offers))

    @property
    def may_sign_in(self) -> bool:
        """AUTH is offered on submission, over TLS, or in clear from this machine where that is allowed."""
        if self.serving.kind != "submission":
            return False
        return self.secure or (self._loopback and self.serving.plaintext_sign_in_from_loopback)

    async def smtp_STARTTLS(self, argument: str) -> None:
        """STARTTLS (RFC 3207): whatever was sent before TLS began is dropped, and the session begins anew."""
        context = self.serving.tls
        if argument:
            await self.say(501, "5.5.4", "STARTTLS takes no argument")
        elif context is None or self.secure:
            await self.say(503, "5.5.1", "TLS is not available here")
        else:
            self.session_reader.drop()
            await self.push(reply(220, "2.0.0", "Ready to start TLS"))
            await self._start_tls(context)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        assert self.transport is not None
        plain = self.transport
        transport = await self.loop.start_tls(
            plain,  # type: ignore[arg-type]
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=30,
            ssl_shutdown_timeout=5,
        )
        if transport is None:
            raise ConnectionResetError
        self.session_reader.drop()
        self.transport = transport
        self._over_ssl = True
        # A new StreamWriter would close the plain transport when the old one goes.
        self._writer._transport = transport  # type: ignore[attr-defined]
        self._replace_writer(self._writer)  # type: ignore[attr-defined]
        self._set_rset_state()
        self.session = self._create_session()
        self.session.peer = transport.get_extra_info("peername")
        self.account = None
        self._note_tls()

    async def smtp_RSET(self, argument: str) -> None:
        """RSET (RFC 5321 §4.1.1.5)."""
        if argument:
            await self.say(501, "5.5.4", "RSET takes no argument")
            return
        self._set_rset_state()
        await self.say(250, "2.0.0", "OK")

    async def smtp_NOOP(self, argument: str) -> None:
        """NOOP; an argument is ignored."""
        await self.say(250, "2.0.0", "OK")

    async def smtp_QUIT(self, argument: str) -> None:
        """QUIT (RFC 5321 §4.1.1.10)."""
        self._say_and_close(221, "2.0.0", "Bye")

    async def smtp_HELP(self, argument: str) -> None:
        """HELP (RFC 5321 §4.1.1.8)."""
        await self.say(214, "2.0.0", "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT")

    async def smtp_VRFY(self, argument: str) -> None:
        """VRFY does not tell who has an account (RFC 5321 §7.3)."""
        await self.say(252, "2.5.0", "Send some mail, and we will see", "Hãy gửi thư, máy chủ sẽ kiểm tra.")

    async def smtp_EXPN(self, argument: str) -> None:
        """EXPN is not served."""
        await self.say(502, "5.5.1", "EXPN is not served")
