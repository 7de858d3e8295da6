# SPDX-License-Identifier: AGPL-3.0-or-later
"""AUTH PLAIN, LOGIN and EXTERNAL (RFC 4954, RFC 4616, RFC 4422); who signs in is decided by `Accounts`."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable

from config.refusal import Refused
from mailserver.accounts import Account
from mailserver.smtp.errors import refusal
from mailserver.smtp.session import SessionBase

_MOST_FAILURES = 3
_LONGEST_ANSWER = 12288


class _Ended(Exception):
    """The exchange ended without credentials; the reply is already given."""


class SigningIn(SessionBase):
    """The AUTH command."""

    _failures = 0

    async def smtp_AUTH(self, argument: str) -> None:
        """AUTH mechanism [initial-response]."""
        assert self.session is not None
        assert self.envelope is not None
        mechanism, _, initial = argument.partition(" ")
        if self.serving.kind != "submission":
            await self.say(502, "5.5.1", "AUTH is not served here; use the submission port")
        elif not self.session.extended_smtp:
            await self.say(503, "5.5.1", "Send EHLO first")
        elif self.account is not None:
            await self.say(503, "5.5.1", "Already signed in")
        elif self.envelope.mail_from is not None:
            await self.say(503, "5.5.1", "AUTH is not allowed during a mail transaction")
        elif not self.may_sign_in:
            await self.say(538, "5.7.11", "Encryption is required: STARTTLS first", "Cần STARTTLS trước.")
        elif mechanism.upper() not in ("PLAIN", "LOGIN", "EXTERNAL"):
            await self.say(504, "5.5.4", "Mechanisms: PLAIN, LOGIN, EXTERNAL")
        else:
            ways: dict[str, Callable[[str], Awaitable[Callable[[], Account] | Account]]]
            ways = {"PLAIN": self._plain, "LOGIN": self._login, "EXTERNAL": self._external}
            try:
                check = await ways[mechanism.upper()](initial.strip())
            except _Ended:
                return
            await self._sign_in(check)

    async def _sign_in(self, check: Callable[[], Account] | Account) -> None:
        try:
            self.account = check if isinstance(check, Account) else await asyncio.to_thread(check)
        except Refused as problem:
            self._failures += 1
            await self.push(refusal(problem))
            if self._failures >= _MOST_FAILURES:
                self._say_and_close(421, "4.7.0", "Too many failed sign-ins", "Sai mật khẩu nhiều lần.")
            return
        await self.say(235, "2.7.0", "Authentication successful")

    def _with_password(self, address: str, password: str) -> Callable[[], Account] | Account:
        """The account when the password just fits, else what finds out in a thread."""
        accounts, client = self.serving.accounts, self.client
        known = accounts.authenticate_at_once("submission", address, password, client)
        return known or (lambda: accounts.authenticate("submission", address, password, client))

    async def _external(self, initial: str) -> Callable[[], Account]:
        """RFC 4422 App. A: the certificate of the TLS handshake, and whom to act as (mostly nobody is named)."""
        name = await self._decoded(initial) if initial else await self._challenge(b"")
        certificate, serving, client = self.certificate, self.serving, self.client
        if certificate is None:
            await self.say(
                535, "5.7.8", "No certificate was shown in the TLS handshake", "Chưa có chứng thư số."
            )
            raise _Ended

        def check() -> Account:
            vouched = serving.vouch(certificate) if serving.vouch is not None else ()
            return serving.accounts.authenticate_certificate("submission", certificate, name, client, vouched)

        return check

    async def _plain(self, initial: str) -> Callable[[], Account] | Account:
        answer = await self._decoded(initial) if initial else await self._challenge(b"")
        parts = answer.split("\0")
        if len(parts) != 3 or (parts[0] and parts[0].lower() != parts[1].lower()):
            await self.say(501, "5.5.2", "PLAIN takes authorisation NUL address NUL password")
            raise _Ended
        return self._with_password(parts[1], parts[2])

    async def _login(self, initial: str) -> Callable[[], Account] | Account:
        address = await self._decoded(initial) if initial else await self._challenge(b"Username:")
        return self._with_password(address, await self._challenge(b"Password:"))

    async def _challenge(self, words: bytes) -> str:
        await self.push(b"334 " + base64.b64encode(words))
        await self.flush()
        line = await self.session_reader.line()
        if len(line) > _LONGEST_ANSWER:
            await self.say(500, "5.5.6", "Authentication exchange line too long")
            raise _Ended
        return await self._decoded(line.decode("latin-1"))

    async def _decoded(self, answer: str) -> str:
        if answer == "*":
            await self.say(501, "5.7.0", "Authentication cancelled")
            raise _Ended
        try:
            return base64.b64decode("" if answer == "=" else answer, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            await self.say(501, "5.5.2", "Not base64 of UTF-8")
            raise _Ended from None
