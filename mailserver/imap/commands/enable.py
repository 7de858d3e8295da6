# SPDX-License-Identifier: AGPL-3.0-or-later
"""ENABLE (RFC 9051 §6.3.1, RFC 5161): CONDSTORE and QRESYNC (RFC 7162 §3.2.3, Q15)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Turn extensions on; unknown ones are passed over."""
    cursor.space()
    asked = {cursor.word()}
    while cursor.try_space() and not cursor.at_end():
        asked.add(cursor.word())
    cursor.end()
    enabled = []
    if "QRESYNC" in asked:
        session.qresync = True
        enabled.append(b"QRESYNC")
    if asked & {"QRESYNC", "CONDSTORE"}:
        session.condstore = True
        enabled.append(b"CONDSTORE")
    session.untagged(b" ".join([b"ENABLED", *sorted(enabled)]))
    return b"Done"
