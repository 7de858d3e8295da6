# SPDX-License-Identifier: AGPL-3.0-or-later
"""MOVE (RFC 9051 §6.4.8): COPYUID in an untagged OK, then the expunges; what is gone is passed over (Q11)."""

from __future__ import annotations

from functools import partial

from mailserver.imap.commands.copy import arguments, copyuid, keep_keywords, keywords_of, limit_flags
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Move messages into another mailbox."""
    view = session.writable("te")
    uids, target = await arguments(session, cursor, uid=uid)
    words = await session.aside(len(uids), partial(keywords_of, view, uids))
    pairs = await session.services.store.move(view.ref, uids, target.mailbox.ref)
    await limit_flags(session, pairs, target)
    await keep_keywords(session, words, pairs, target)
    if pairs:
        code = await session.aside(len(pairs), partial(copyuid, target.mailbox, pairs))
        session.untagged(b"OK " + code + b"Moved")
    await session.absorb()
    await session.tell(expunge=True)
    return b"[HIGHESTMODSEQ %d] Moved" % view.modseq if session.condstore else b"Moved"
