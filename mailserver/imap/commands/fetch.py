# SPDX-License-Identifier: AGPL-3.0-or-later
"""FETCH (RFC 9051 §6.4.5), with CHANGEDSINCE and VANISHED (RFC 7162 §3.1.4, §3.2.6), BINARY (RFC 3516 §4.2),
PREVIEW (RFC 8970 §3), SAVEDATE (RFC 8514 §4.1), EMAILID and THREADID (RFC 8474 §5).

Output leaves in big pieces, and the next piece is made only when the client has read enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from mailserver.imap.commands.select import vanished_since
from mailserver.imap.grammar.fetching import Item, parse_items
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.rendering import Rendering
from mailserver.imap.session import Session
from mailserver.imap.view import View
from mailserver.store import SEEN

_INLINE = 60  # so many messages are answered without a thread


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Fetch items of messages."""
    cursor.space()
    wanted = cursor.sequence_set()
    cursor.space()
    items = parse_items(cursor)
    since, vanished = _modifiers(session, cursor, uid=uid)
    cursor.end()
    view = await session.loaded()
    if not uid and wanted.beyond(len(view.uids)):
        raise Syntax("There are not so many messages")
    names = {one.name for one in items}
    if uid and "UID" not in names:
        items.insert(0, Item("UID"))
    if since is not None or "MODSEQ" in names:
        session.condstore = True
        if since is not None and "MODSEQ" not in names:
            items.append(Item("MODSEQ"))
    if vanished and since is not None:
        gone = vanished_since(view, since, wanted)
        if gone:
            session.untagged(b"VANISHED (EARLIER) " + gone)
    spans = wanted.positions(view.uids, uid=uid)
    if since:  # CHANGEDSINCE 0 is no filter (Q14)
        spans = _joined(at for span in spans for at in span if view.modseqs(at) > since)
    seen = await _see(session, view, items, spans)
    job = Rendering(view, session.services.pages, session.services.searches.facts, items, seen)
    inline = job.ready(spans) or sum(map(len, spans)) <= (_INLINE if not job.reads else 1)
    pieces = job.pieces(spans)
    while True:
        made = next(pieces, None) if inline else await asyncio.to_thread(next, pieces, None)
        if made is None:
            break
        session.write(made)
        await session.breathe()
    await session.tell(expunge=False)
    return job.result(uid=uid)


def _modifiers(session: Session, cursor: Cursor, *, uid: bool) -> tuple[int | None, bool]:
    since, vanished = None, False
    if not cursor.try_space() or cursor.at_end():
        return since, vanished
    cursor.byte(b"(")
    while not cursor.try_byte(b")"):
        word = cursor.word()
        if word == "CHANGEDSINCE":
            cursor.space()
            since = cursor.number()
        elif word == "VANISHED" and uid and session.qresync:
            vanished = True
        else:
            raise Syntax(f"{word[:40]} is not a modifier of FETCH")
        cursor.try_space()
    if vanished and since is None:
        raise Syntax("VANISHED needs CHANGEDSINCE")
    return since, vanished


def _joined(positions: Iterator[int]) -> list[range]:
    spans: list[range] = []
    for at in positions:
        if spans and spans[-1].stop == at:
            spans[-1] = range(spans[-1].start, at + 1)
        else:
            spans.append(range(at, at + 1))
    return spans


async def _see(session: Session, view: View, items: list[Item], spans: list[range]) -> set[int]:
    """Set \\Seen where the items ask for it; returns the UIDs whose new flags go into the answer."""
    if view.readonly or "s" not in view.rights or not any(one.sees for one in items):
        return set()
    uids = view.uids
    unseen = [uids[at] for span in spans for at in span if not view.flags(at) & SEEN]
    if not unseen:
        return set()
    changed, _ = await session.services.store.set_flags(view.ref, unseen, "add", SEEN)
    await session.absorb()
    session.tell_new_only()
    told = set(changed)
    view.changed -= told
    return told
