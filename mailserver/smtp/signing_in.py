# SPDX-License-Identifier: AGPL-3.0-or-later
"""AUTH PLAIN and AUTH LOGIN (RFC 4954, RFC 4616); who signs in is decided by `Accounts.authenticate`."""

from __future__ import annotations

import asyncio
import base64
import binascii

from config.refusal import Refused
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
        elif mechanism.upper() not in ("PLAIN", "LOGIN"):
            await self.say(504, "5.5.4", "Mechanisms: PLAIN, LOGIN")
        else:
            try:
                ask = self._plain if mechanism.upper() == "PLAIN" else self._login
                address, password = await ask(initial.strip())
            except _Ended:
                return
            await self._sign_in(address, password)

    async def _sign_in(self, address: str, password: str) -> None:
        try:
            self.account = await asyncio.to_thread(
                self.serving.accounts.authenticate, "submission", address, password, self.client
            )
        except Refused as problem:
            self._failures += 1
            await self.push(refusal(problem))
            if self._failures >= _MOST_FAILURES:
                self._say_and_close(421, "4.7.0", "Too many failed sign-ins", "Sai mật khẩu nhiều lần.")
            return
        await self.say(235, "2.7.0", "Authentication successful")

    async def _plain(self, initial: str) -> tuple[str, str]:
        answer = await self._decoded(initial) if initial else await self._challenge(b"")
        parts = answer.split("\0")
        if len(parts) != 3 or (parts[0] and parts[0].lower() != parts[1].lower()):
            await self.say(501, "5.5.2", "PLAIN takes authorisation NUL address NUL password")
            raise _Ended
        return parts[1], parts[2]

    async def _login(self, initial: str) -> tuple[str, str]:
        address = await self._decoded(initial) if initial else await self._challenge(b"Username:")
        return address, await self._challenge(b"Password:")

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
