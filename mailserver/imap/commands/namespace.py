# SPDX-License-Identifier: AGPL-3.0-or-later
"""NAMESPACE (RFC 9051 §6.3.10, RFC 2342): one's own mailboxes, and Shared/ for who has any (Q28)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.naming import SEPARATOR, SHARED
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """The three name spaces; nobody sees other people's."""
    cursor.end()
    shared = f'(("{SHARED}{SEPARATOR}" "{SEPARATOR}"))' if session.names.has_shared() else "NIL"
    session.untagged(f'NAMESPACE (("" "{SEPARATOR}")) NIL {shared}'.encode())
    return b"Done"
