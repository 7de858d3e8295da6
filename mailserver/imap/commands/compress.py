# SPDX-License-Identifier: AGPL-3.0-or-later
"""COMPRESS=DEFLATE (RFC 4978 §3). The connection deflates from the reply on, and inflates what comes."""

from __future__ import annotations

from mailserver.imap.commands.capability import offered
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.replies import No
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Say yes; the connection then compresses both ways."""
    cursor.space()
    mechanism = cursor.word()
    cursor.end()
    if session.deflating:
        raise No("COMPRESSIONACTIVE", "Kết nối đã nén rồi.", "The connection is compressed already.")
    if mechanism != "DEFLATE" or not offered(session, "COMPRESS=DEFLATE"):
        raise Syntax("Only DEFLATE is offered")
    session.start_deflate = True
    return b"DEFLATE active"
