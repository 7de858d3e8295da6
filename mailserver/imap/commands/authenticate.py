# SPDX-License-Identifier: AGPL-3.0-or-later
"""AUTHENTICATE (RFC 9051 §6.2.2) with PLAIN (RFC 4616 §2), SCRAM-SHA-256 (RFC 7677 §3, RFC 5802 §5), and
EXTERNAL where the client showed a certificate in the TLS handshake (RFC 4422 §A).

An initial response is taken too (RFC 4959 §3).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable

from mailserver.accounts import Account, scram
from mailserver.imap.commands.login import check_private, counted, sign_in, welcome
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.replies import No
from mailserver.imap.session import Awaiting, Session

_LONGEST = 4096


async def run(session: Session, cursor: Cursor) -> bytes | None:
    """Sign in by SASL."""
    cursor.space()
    mechanism = cursor.word()
    initial = None
    if cursor.try_space() and not cursor.at_end():
        initial = cursor.astring()
    cursor.end()
    step = _STEPS.get(mechanism)
    if step is None:
        raise No(
            "CANNOT",
            "Máy chủ chỉ nhận PLAIN, SCRAM-SHA-256 và EXTERNAL.",
            "Only PLAIN, SCRAM-SHA-256 and EXTERNAL are offered.",
        )
    check_private(session)
    if initial is not None:
        return await step(session, b"" if initial == b"=" else initial)
    _ask(session, b"", lambda line: step(session, line))
    return None


def _ask(session: Session, challenge: bytes, take: Callable[[bytes], Awaitable[bytes | None]]) -> None:
    """Send a challenge; the client's next line is for ``take``."""
    session.awaiting = Awaiting(session.tag, "AUTHENTICATE", take)
    session.write(b"+ %b\r\n" % base64.b64encode(challenge))


def _decoded(response: bytes) -> bytes:
    if response == b"*":
        raise Syntax("Cancelled")
    if len(response) > _LONGEST:
        raise Syntax("The response is too long")
    try:
        return base64.b64decode(response, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise Syntax("The response is not base64") from problem


async def _plain(session: Session, response: bytes) -> bytes:
    try:
        message = _decoded(response).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Syntax("The response is not UTF-8") from problem
    authorisation, first, rest = message.partition("\0")
    address, second, password = rest.partition("\0")
    if not first or not second or "\0" in password or not address:
        raise Syntax("The response is not one of SASL PLAIN")
    if authorisation and authorisation.lower() != address.lower():
        raise No(
            "AUTHORIZATIONFAILED",
            "Không thể dùng thay tài khoản khác.",
            "Acting as another account is not possible.",
        )
    return await sign_in(session, address, password)


async def _scram(session: Session, response: bytes) -> None:
    if not response:  # no initial response: the client speaks first all the same
        raise Syntax("The first message is missing")
    accounts = session.services.accounts
    try:
        challenge = scram.Challenge.of(_decoded(response), accounts.scram_salt)
    except scram.Malformed as problem:
        raise Syntax(f"Not SCRAM: {problem}") from problem

    async def final(line: bytes) -> None:
        try:
            proof = challenge.proof(_decoded(line))
        except scram.Malformed as problem:
            raise Syntax(f"Not SCRAM: {problem}") from problem
        with counted(session):
            account, answer = await asyncio.to_thread(
                accounts.authenticate_scram, "imap", challenge.name, session.client, proof
            )

        async def read(acknowledged: bytes) -> bytes:
            if _decoded(acknowledged):
                raise Syntax("Nothing more was asked")
            return welcome(session, account)

        _ask(session, answer, read)

    _ask(session, challenge.first, final)


async def _external(session: Session, response: bytes) -> bytes:
    try:
        name = _decoded(response).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Syntax("The response is not UTF-8") from problem
    if "\0" in name:
        raise Syntax("The response is not one of SASL EXTERNAL")
    certificate, services = session.certificate, session.services
    if certificate is None:
        raise No(
            "AUTHENTICATIONFAILED",
            "Ứng dụng thư chưa đưa chứng thư số khi mở TLS.",
            "The mail program showed no certificate in the TLS handshake.",
        )

    def check() -> Account:
        vouched = services.vouch(certificate) if services.vouch is not None else ()
        return services.accounts.authenticate_certificate("imap", certificate, name, session.client, vouched)

    with counted(session):
        account = await asyncio.to_thread(check)
    return welcome(session, account)


_STEPS: dict[str, Callable[[Session, bytes], Awaitable[bytes | None]]] = {
    "PLAIN": _plain,
    "SCRAM-SHA-256": _scram,
    "EXTERNAL": _external,
}
