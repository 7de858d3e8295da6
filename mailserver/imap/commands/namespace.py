# SPDX-License-Identifier: AGPL-3.0-or-later
"""NAMESPACE (RFC 9051 §6.3.10, RFC 2342 §5): one's own, Users/ and Shared/ for who has any there (Q28)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.naming import SEPARATOR, SHARED, USERS
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """The three name spaces: one's own, other people's, those of offices."""
    cursor.end()
    others, shared = (
        f'(("{name}{SEPARATOR}" "{SEPARATOR}"))' if there else "NIL"
        for name, there in zip((USERS, SHARED), session.names.has_shared(), strict=True)
    )
    session.untagged(f'NAMESPACE (("" "{SEPARATOR}")) {others} {shared}'.encode())
    return b"Done"
