# SPDX-License-Identifier: AGPL-3.0-or-later
"""AUTHENTICATE PLAIN (RFC 9051 §6.2.2, RFC 4616), with an initial response too (RFC 4959)."""

from __future__ import annotations

import base64
import binascii

from mailserver.imap.commands.login import check_private, sign_in
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
    if mechanism != "PLAIN":
        raise No("CANNOT", "Máy chủ chỉ nhận SASL PLAIN.", "Only SASL PLAIN is offered.")
    check_private(session)
    if initial is not None:
        return await _plain(session, b"" if initial == b"=" else initial)

    async def take(line: bytes) -> bytes:
        return await _plain(session, line)

    session.awaiting = Awaiting(session.tag, "AUTHENTICATE", take)
    session.write(b"+ \r\n")
    return None


async def _plain(session: Session, response: bytes) -> bytes:
    if response == b"*":
        raise Syntax("Cancelled")
    if len(response) > _LONGEST:
        raise Syntax("The response is too long")
    try:
        message = base64.b64decode(response, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as problem:
        raise Syntax("The response is not base64 of UTF-8") from problem
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
