# SPDX-License-Identifier: AGPL-3.0-or-later
"""EXPUNGE (RFC 9051 §6.4.3) and UID EXPUNGE (RFC 9051 §6.4.9)."""

from __future__ import annotations

from functools import partial

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session
from mailserver.imap.view import uids_of


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Remove the messages flagged \\Deleted, with UID those of a set only."""
    wanted = None
    if uid:
        cursor.space()
        wanted = cursor.sequence_set()
    cursor.end()
    view = session.writable("e")
    await session.loaded()
    if wanted is None:
        await session.services.store.expunge(view.ref)
    else:
        chosen = await session.aside(view.exists, partial(uids_of, view, wanted, uid=True))
        await session.services.store.expunge(view.ref, chosen)
    await session.absorb()
    await session.tell(expunge=True)
    return b"[HIGHESTMODSEQ %d] Expunged" % view.modseq if session.condstore else b"Expunged"
