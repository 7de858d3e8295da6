# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small SMTP client on asyncio: one connection, one transaction after another (RFC 5321, RFC 3461).

It never writes a bare CR or LF and never a line with a lone dot but the last; replies are bounded, every
step has its time limit.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from mailserver.queue.routes import Route, Server

_CONNECT_S = 30.0
_COMMAND_S = 120.0
_BLOCK_S = 180.0
_AFTER_DOT_S = 600.0  # RFC 5321 §4.5.3.2.6
_LONGEST_LINE = 4096
_MOST_LINES = 128
_BLOCK = 256 * 1024
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_BARE = re.compile(rb"\r\n|\r|\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class Broken(Exception):
    """The connection can't be used (any more): refused, ended, timed out, not SMTP. Try again later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: code, all its words in one line (at most 400 characters)."""

    code: int
    text: str

    @property
    def good(self) -> bool:
        """2xx."""
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        """5xx: asking again does not help."""
        return 500 <= self.code < 600

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463), made up from the first digit when there is none."""
        found = _ENHANCED.search(self.text)
        digit = "2" if self.good else "5" if self.permanent else "4"
        return found[0] if found is not None and found[0][0] == digit else f"{digit}.0.0"


@dataclass(frozen=True, slots=True)
class To:
    """A recipient with its DSN parameters, "" when not given."""

    address: str
    notify: str = ""
    original: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: ``data`` as `wire_form` gives it."""

    sender: str
    recipients: tuple[To, ...]
    data: bytes
    envelope_id: str = ""
    ret: str = ""


def wire_form(message: bytes, redirected_by: str = "") -> bytes:
    """A stored message as DATA carries it: no Return-Path, CRLF line ends only, dots doubled, the end dot.

    ``redirected_by`` is marked in front (Delivered-To), so that a letter that comes back is known.
    """
    if message[:12].lower() == b"return-path:":
        message = message[message.index(b"\n") + 1 :]
    if redirected_by:
        message = b"Delivered-To: " + redirected_by.encode() + b"\r\n" + message
    pairs = message.count(b"\r\n")
    if pairs != message.count(b"\n") or pairs != message.count(b"\r"):
        message = _BARE.sub(b"\r\n", message)
    message = message.replace(b"\r\n.", b"\r\n..")
    if message.startswith(b"."):
        message = b"." + message
    return message + (b".\r\n" if not message or message.endswith(b"\r\n") else b"\r\n.\r\n")


def to_xtext(value: str) -> str:
    """xtext (RFC 3461 §4)."""
    return "".join(one if "!" <= one <= "~" and one not in "+=" else f"+{ord(one):02X}" for one in value)


class SmtpClient:
    """One connection. Use `connect`; `send` as often as wished; `quit`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: str) -> None:
        self._reader, self._writer, self._hello = reader, writer, hello
        self.offers: dict[str, str] = {}
        self.handed_over = False

    @classmethod
    async def connect(cls, route: Route, hello: str) -> SmtpClient:
        """Connect, greet, take TLS when offered (or insist, as the route says). Raises `Broken`.

        Of several servers the first that greets is taken. Verified TLS never falls back to less (S37).
        """
        problem = Broken("no server")
        for one in route.servers or (Server(route.host, route.host),):
            try:
                return await cls._with(one, route, hello)
            except Broken as found:
                problem = found
        raise problem

    @classmethod
    async def _with(cls, server: Server, route: Route, hello: str) -> SmtpClient:
        try:
            return await cls._connect(server, route, hello, route.tls != "none")
        except Broken as problem:
            if route.tls != "opportunistic" or not isinstance(problem.__cause__, ssl.SSLError):
                raise
        return await cls._connect(server, route, hello, False)

    @classmethod
    async def _connect(cls, server: Server, route: Route, hello: str, tls: bool) -> SmtpClient:
        with _broken(route):
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    server.address, route.port, limit=_LONGEST_LINE
                )
        client = cls(reader, writer, hello)
        try:
            with _broken(route):
                greeting = await client._answer(_COMMAND_S)
                if not greeting.good:
                    raise Broken(f"{route.name}: {greeting.code} {greeting.text}")
                await client._ehlo()
                if tls and "STARTTLS" in client.offers:
                    await client._start_tls(server, route)
                elif route.tls == "verified":
                    raise Broken(f"{route.name} offers no TLS, and the route demands it")
                if route.user:
                    await client._sign_in(route)
        except BaseException:
            writer.transport.abort()
            raise
        return client

    async def _ehlo(self) -> None:
        lines = await self._lines(f"EHLO {self._hello}", _COMMAND_S)
        self.offers = {}
        if not lines[0].startswith("2"):
            if not (await self._ask(f"HELO {self._hello}")).good:
                raise Broken(f"EHLO refused: {lines[0]}")
            return
        for line in lines[1:]:
            word, _, rest = line[4:].partition(" ")
            self.offers[word.upper()] = rest.strip()

    async def _start_tls(self, server: Server, route: Route) -> None:
        if not (await self._ask("STARTTLS")).good:
            if route.tls == "verified":
                raise Broken(f"{route.name} refuses STARTTLS, and the route demands it")
            return
        if self._reader._buffer:  # type: ignore[attr-defined]
            raise Broken(f"{route.name} sent something between STARTTLS and TLS")
        context = ssl.create_default_context(cafile=route.ca_file or None)
        if route.tls != "verified":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        await self._writer.start_tls(context, server_hostname=server.host, ssl_handshake_timeout=_CONNECT_S)
        await self._ehlo()

    async def _sign_in(self, route: Route) -> None:
        """AUTH PLAIN or LOGIN (RFC 4954), over verified TLS only; a refusal is for the operator, so it is retried."""
        if self._writer.get_extra_info("ssl_object") is None or route.tls != "verified":
            raise Broken(f"{route.name}: no password goes over a connection that is not verified")
        offered = self.offers.get("AUTH", "").upper().split()
        if "PLAIN" in offered:
            answer = await self._ask(f"AUTH PLAIN {_base64(f'{chr(0)}{route.user}{chr(0)}{route.password}')}")
        elif "LOGIN" in offered:
            answer = await self._ask("AUTH LOGIN")
            for word in (route.user, route.password):
                if answer.code == 334:
                    answer = await self._ask(_base64(word))
        else:
            raise Broken(f"{route.name} offers no AUTH PLAIN or LOGIN")
        if not answer.good:
            raise Broken(f"{route.name} refuses our sign-in: {answer.code} {answer.text}")

    async def send(self, letter: Letter) -> list[Answer]:
        """One transaction; the answer for each recipient, in order. Raises `Broken`, then the client is used up."""
        self.handed_over = False
        with _broken(None):
            refused = self._too_large(letter)
            if refused is not None:
                return [refused] * len(letter.recipients)
            mail = await self._ask(self._mail(letter))
            if not mail.good:
                await self._reset(mail)
                return [mail] * len(letter.recipients)
            answers = [await self._recipient(one) for one in letter.recipients]
            if not any(one.good for one in answers):
                await self._reset(answers[-1])
                return answers
            final = await self._data(letter.data)
            return [final if one.good else one for one in answers]

    async def quit(self) -> None:
        """Say goodbye and close; nothing is raised."""
        with contextlib.suppress(Broken, OSError, TimeoutError):
            async with asyncio.timeout(2):
                await self._ask("QUIT")
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()

    def _too_large(self, letter: Letter) -> Answer | None:
        most = self.offers.get("SIZE", "")
        if most.isdigit() and 0 < int(most) < len(letter.data):
            return Answer(552, f"5.3.4 The message has {len(letter.data)} bytes, the server takes {most}")
        return None

    def _mail(self, letter: Letter) -> str:
        words = [f"MAIL FROM:<{_safe(letter.sender)}>"]
        if "SIZE" in self.offers:
            words.append(f"SIZE={len(letter.data)}")
        if "8BITMIME" in self.offers and not letter.data.isascii():
            words.append("BODY=8BITMIME")
        if "SMTPUTF8" in self.offers and not _plain(letter):
            words.append("SMTPUTF8")
        if "DSN" in self.offers:
            words.append(f"RET={letter.ret or 'HDRS'}")
            if letter.envelope_id:
                words.append(f"ENVID={to_xtext(letter.envelope_id)}")
        return " ".join(words)

    async def _recipient(self, to: To) -> Answer:
        if not to.address.isascii() and "SMTPUTF8" not in self.offers:
            return Answer(553, "5.6.7 The server can't take addresses outside ASCII (SMTPUTF8)")
        words = [f"RCPT TO:<{_safe(to.address)}>"]
        if "DSN" in self.offers:
            if to.notify:
                words.append(f"NOTIFY={to.notify}")
            kind, mark, address = to.original.partition(";")
            if mark and address.isascii():
                words.append(f"ORCPT={_safe(kind)};{to_xtext(address)}")
        return await self._ask(" ".join(words))

    async def _data(self, data: bytes) -> Answer:
        ready = await self._ask("DATA")
        if ready.code != 354:
            await self._reset(ready)
            return ready if not ready.good else Answer(451, f"4.5.0 Unexpected answer to DATA: {ready.text}")
        view = memoryview(data)
        for start in range(0, len(data), _BLOCK):
            self.handed_over = start + _BLOCK >= len(data)
            self._writer.write(view[start : start + _BLOCK])
            async with asyncio.timeout(_BLOCK_S):
                await self._writer.drain()
        return await self._answer(_AFTER_DOT_S)

    async def _reset(self, answer: Answer) -> None:
        if answer.code == 421:
            raise Broken(f"421 {answer.text}")
        await self._ask("RSET")

    async def _ask(self, command: str) -> Answer:
        self._writer.write(command.encode("utf-8") + b"\r\n")
        answer = await self._answer(_COMMAND_S)
        if answer.code == 421:
            raise Broken(f"421 {answer.text}")
        return answer

    async def _lines(self, command: str, seconds: float) -> list[str]:
        self._writer.write(command.encode("utf-8") + b"\r\n")
        return await self._reply(seconds)

    async def _answer(self, seconds: float) -> Answer:
        lines = await self._reply(seconds)
        text = " ".join(_CONTROL.sub(" ", line[4:]).strip() for line in lines)
        return Answer(int(lines[0][:3]), text[:400])

    async def _reply(self, seconds: float) -> list[str]:
        """The lines of one reply. Raises `Broken`, `TimeoutError`, `OSError`."""
        lines: list[str] = []
        async with asyncio.timeout(seconds):
            while True:
                try:
                    line = (await self._reader.readuntil(b"\n")).decode("utf-8", "replace").rstrip("\r\n")
                except asyncio.LimitOverrunError as problem:
                    raise Broken("the server's answer is too long") from problem
                except asyncio.IncompleteReadError as problem:
                    raise Broken("the server ended the connection") from problem
                if not re.match(r"[2-5][0-9]{2}(?:[ -]|$)", line) or len(lines) >= _MOST_LINES:
                    raise Broken(f"not an SMTP answer: {_CONTROL.sub(' ', line)[:100]}")
                lines.append(line)
                if line[3:4] != "-":
                    return lines


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _plain(letter: Letter) -> bool:
    addresses = (letter.sender, *(one.address for one in letter.recipients))
    header = letter.data[: letter.data.find(b"\r\n\r\n") + 1 or None]
    return all(one.isascii() for one in addresses) and header.isascii()


def _safe(text: str) -> str:
    if _CONTROL.search(text) or ">" in text or "<" in text:
        raise ValueError("an address can't hold controls or angle brackets")
    return text


@contextlib.contextmanager
def _broken(route: Route | None) -> Iterator[None]:
    """Turn what the network does into `Broken`."""
    name = f"{route.name}: " if route is not None else ""
    try:
        yield
    except TimeoutError as problem:
        raise Broken(f"{name}no answer in time") from problem
    except OSError as problem:  # ssl.SSLError is one
        raise Broken(f"{name}{problem.strerror or problem}") from problem
