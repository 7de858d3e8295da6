# SPDX-License-Identifier: AGPL-3.0-or-later
"""STARTTLS (RFC 9051 §6.2.1). The connection throws away what came before the handshake (S2)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Say yes; the connection then takes the handshake."""
    cursor.end()
    if session.tls or not session.can_tls:
        raise Syntax("TLS is not to be had here")
    session.start_tls = True
    return b"Begin TLS now"
