# SPDX-License-Identifier: AGPL-3.0-or-later
"""FETCH (RFC 9051 §6.4.5), with CHANGEDSINCE and VANISHED (RFC 7162 §3.1.4, §3.2.6), PARTIAL (RFC 9394 §3.3),
BINARY (RFC 3516 §4.2), PREVIEW (RFC 8970 §3), SAVEDATE (RFC 8514 §4.1), EMAILID and THREADID (RFC 8474 §5).

Output leaves in big pieces, and the next piece is made only when the client has read enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from mailserver.imap.commands.select import vanished_since
from mailserver.imap.grammar.fetching import Item, Modifiers, parse_items, parse_modifiers
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.sequences import SequenceSet
from mailserver.imap.grammar.windows import window
from mailserver.imap.rendering import Rendering
from mailserver.imap.session import Session
from mailserver.imap.view import View
from mailserver.store import SEEN
from mailserver.store.flagging import SLICE, Foreseen

_INLINE = 60  # so many messages are answered without a thread


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Fetch items of messages."""
    cursor.space()
    wanted = cursor.sequence_set()
    cursor.space()
    items = parse_items(cursor)
    modifiers = parse_modifiers(cursor)
    cursor.end()
    since = modifiers.since
    if modifiers.vanished and not (uid and session.qresync and since is not None):
        raise Syntax("VANISHED needs UID FETCH, CHANGEDSINCE and ENABLE QRESYNC")
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
    if modifiers.vanished and since is not None:
        gone = await session.aside(view.exists, partial(vanished_since, view, since, wanted))
        if gone:
            session.untagged(b"VANISHED (EARLIER) " + gone)
    weight = view.exists if since or modifiers.partial else len(wanted.ranges)
    spans = await session.aside(weight, partial(_spans, view, wanted, modifiers, uid=uid))
    count = sum(map(len, spans))
    seen = await _see(session, view, items, spans)
    job = Rendering(view, session.services.pages, session.services.searches.facts, items, seen)
    few = count <= (_INLINE if not job.reads else 1)
    inline = few or await session.aside(count, partial(job.ready, spans))
    pieces = job.pieces(spans)
    if inline:
        for made in pieces:
            session.write(made)
            await session.breathe()
    else:
        await _sent(session, pieces)
    await session.tell(expunge=False)
    return job.result(uid=uid)


def _spans(view: View, wanted: SequenceSet, modifiers: Modifiers, *, uid: bool) -> list[range]:
    """The positions that are asked for."""
    spans = _page(view, wanted.positions(view.uids, uid=uid), modifiers)
    since = modifiers.since
    if not since:  # CHANGEDSINCE 0 is no filter (Q14)
        return spans
    return _joined(at for span in spans for at in span if view.modseqs(at) > since)


async def _sent(session: Session, pieces: Iterator[bytes]) -> None:
    """Write pieces that are made in a thread: the next one is made while this one is sent."""
    coming = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
    try:
        while (made := await coming) is not None:
            coming = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
            session.write(made)
            await session.breathe()
    finally:
        if not coming.done():  # the client is gone
            await asyncio.wait([coming])


def _page(view: View, spans: list[range], modifiers: Modifiers) -> list[range]:
    """What PARTIAL leaves of them: a page of the messages there are, which CHANGEDSINCE filters then (RFC 9394 §3.4)."""
    if modifiers.partial is None:
        return spans
    if view.gone:
        uids, gone = view.uids, view.gone
        spans = _joined(at for span in spans for at in span if uids[at] not in gone)
    part = window(modifiers.partial, sum(map(len, spans)))
    found, before = [], 0
    for span in spans:
        if one := span[max(0, part.start - before) : max(0, part.stop - before)]:
            found.append(one)
        before += len(span)
    return found


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
    unseen = await session.aside(
        sum(map(len, spans)), lambda: [at for span in spans for at in span if not view.flags(at) & SEEN]
    )
    uids, told = view.uids, set[int]()

    def prepared(start: int) -> tuple[list[int], Sequence[int], Foreseen]:
        part = [at for at in unseen[start : start + SLICE] if uids[at] not in view.gone]
        return [uids[at] for at in part], *view.foresee(part, "add", SEEN)

    for start in range(0, len(unseen), SLICE):
        chosen, changing, foreseen = await session.aside(len(unseen), partial(prepared, start))
        done = await session.services.store.flag(view.ref, chosen, "add", SEEN, foreseen)
        if not await session.aside(len(changing), partial(view.flagged, changing, "add", SEEN, done)):
            await session.absorb()
        told.update(done.changed)
    session.tell_new_only()
    view.changed -= told
    return told
