# SPDX-License-Identifier: AGPL-3.0-or-later
"""LOGIN (RFC 9051 §6.2.3) and the signing in that AUTHENTICATE shares."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from config.refusal import Refused
from mailserver.accounts import Account
from mailserver.imap.commands.capability import capabilities
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.replies import No
from mailserver.imap.session import Session

_MOST_FAILURES = 5


async def run(session: Session, cursor: Cursor) -> bytes:
    """Sign in with address and password."""
    cursor.space()
    address = _text(cursor.astring())
    cursor.space()
    password = _text(cursor.astring())
    cursor.end()
    return await sign_in(session, address, password)


def check_private(session: Session) -> None:
    """Raise `No` where a password may not be sent in clear (RFC 8314 §3.2)."""
    if not session.may_sign_in:
        raise No(
            "PRIVACYREQUIRED",
            "Kết nối chưa được mã hóa. Hãy bật TLS (STARTTLS hoặc cổng IMAPS).",
            "The connection is not encrypted. Please use STARTTLS or the IMAPS port.",
        )


async def sign_in(session: Session, address: str, password: str) -> bytes:
    """Check the credentials, in a thread unless they just fit; the tagged OK carries the capabilities (Q5)."""
    check_private(session)
    accounts = session.services.accounts
    asked = ("imap", address, password, session.client)
    with counted(session):
        known = accounts.authenticate_at_once(*asked)
        account = known if known is not None else await asyncio.to_thread(accounts.authenticate, *asked)
    return welcome(session, account)


@contextmanager
def counted(session: Session) -> Iterator[None]:
    """Count a refusal; after a few the connection ends."""
    try:
        yield
    except Refused:
        session.failures += 1
        session.closing = session.failures >= _MOST_FAILURES
        raise


def welcome(session: Session, account: Account) -> bytes:
    """The session is the account's from now on."""
    session.signed_in(account)
    return b"[CAPABILITY %b] Signed in" % capabilities(session)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Syntax("Address and password must be UTF-8") from problem
