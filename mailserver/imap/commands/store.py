# SPDX-License-Identifier: AGPL-3.0-or-later
"""STORE (RFC 9051 §6.4.6) with UNCHANGEDSINCE (RFC 7162 §3.1.3); flags one may not change are left (RFC 4314 §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from mailserver.imap import flags
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.sequences import write_set
from mailserver.imap.naming import NotAllowed
from mailserver.imap.rights import flag_mask
from mailserver.imap.session import Session
from mailserver.imap.view import View, neighbours, positions_of
from mailserver.store.flag_ranges import MOST_RANGES
from mailserver.store.flagging import AT_ONCE, SLICE, Flagged, Foreseen
from mailserver.store.model import flagged, ranges

_HOW = {"FLAGS": "replace", "+FLAGS": "add", "-FLAGS": "remove"}


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Change flags. The new flags are told of every message named, unless .SILENT."""
    cursor.space()
    wanted = cursor.sequence_set()
    cursor.space()
    unchanged_since = _modifier(session, cursor)
    word = cursor.word()
    name, _, suffix = word.partition(".")
    if name not in _HOW or suffix not in ("", "SILENT"):
        raise Syntax(f"{word[:40]} is not an item of STORE")
    cursor.space()
    asked = cursor.flags(bare=True)
    cursor.end()
    view = session.writable()
    allowed = flag_mask(view.rights)
    await session.loaded()
    how = _HOW[name]
    mask, keywords = flags.split(asked)
    for one in keywords:
        mask |= await _keyword(session, view, one, make=how != "remove" and "w" in view.rights)
    if not allowed or (mask and not mask & allowed):
        raise NotAllowed("w")
    uids = view.uids
    positions = await session.aside(view.exists, partial(positions_of, view, wanted, uid=uid))
    refused: Sequence[int] = ()
    if unchanged_since is None and (how != "replace" or allowed == -1):
        await _store(session, view, positions, how, mask & allowed, silent=bool(suffix))
    else:
        refused = await _store_unchanged(
            session, view, positions, how, mask, unchanged_since, allowed, silent=bool(suffix)
        )
    await session.tell(expunge=False)
    if refused:
        told = await session.aside(len(refused), partial(_named, view, refused, uid=uid))
        return b"[MODIFIED %b] Some were changed by others" % told
    if not uid and view.gone and not view.gone.isdisjoint([uids[at] for at in positions]):
        return b"[EXPUNGEISSUED] Some are gone"
    return b"Done"


def _named(view: View, uids: Sequence[int], *, uid: bool) -> bytes:
    numbers = uids if uid else [at + 1 for one in uids if (at := view.position(one)) is not None]
    return write_set(sorted(numbers))


async def _store(
    session: Session, view: View, positions: Sequence[int], how: str, mask: int, *, silent: bool
) -> None:
    """Change slice by slice; the next one is on its way to the disk while the answer to this one is written."""
    uids, store = view.uids, session.services.store

    there = [at for at in positions if uids[at] not in view.gone] if view.gone else positions

    def prepared(start: int) -> tuple[Sequence[int], Sequence[int], Sequence[int], Foreseen]:
        part: Sequence[int] = there[start : start + AT_ONCE]
        part = neighbours(part) or part
        changing, foreseen = view.foresee(part, how, mask)
        if len(part) > SLICE and len(ranges(foreseen.changed)) > MOST_RANGES:
            part = part[:SLICE]
            changing, foreseen = view.foresee(part, how, mask)
        chosen = uids[part.start : part.stop] if isinstance(part, range) else [uids[at] for at in part]
        return part, chosen, changing, foreseen

    async def begin(start: int) -> tuple[Sequence[int], Sequence[int], asyncio.Task[Flagged]]:
        part, chosen, changing, foreseen = await session.aside(len(there) - start, partial(prepared, start))
        return part, changing, asyncio.create_task(store.flag(view.ref, chosen, how, mask, foreseen))

    if not there:
        return
    start, coming = 0, await begin(0)
    while start < len(there):
        part, changing, task = coming
        done = await task
        part = part[: done.taken]
        start += done.taken
        before = {}
        if silent and not done.foreseen:
            before = await session.aside(len(part), lambda: {uids[at]: view.flags(at) for at in part})  # noqa: B023
        if not await session.aside(_weight(changing), partial(view.flagged, changing, how, mask, done)):
            await session.absorb()
        if start < len(there):
            coming = await begin(start)
        if not silent:
            if view.changed:
                view.changed.difference_update([uids[at] for at in part])
            await session.tell_many_flags(part)
        elif done.foreseen:
            await session.aside(len(changing), partial(_tell_modseqs, session, view, changing))
        else:
            silence = partial(_silence, session, view, before, done.changed, how, mask)
            await session.aside(len(done.changed), silence)


def _weight(positions: Sequence[int]) -> int:
    """What changing flags there costs: of neighbours they are changed together."""
    return len(positions) // 64 if isinstance(positions, range) else len(positions)


async def _store_unchanged(
    session: Session,
    view: View,
    positions: Sequence[int],
    how: str,
    mask: int,
    unchanged_since: int | None,
    allowed: int,
    *,
    silent: bool,
) -> Sequence[int]:
    """Change what nobody else changed (RFC 7162 §3.1.3), and only the flags one may; returns the refused UIDs."""
    uids = view.uids
    set_flags = session.services.store.set_flags
    chosen = [uids[at] for at in positions]
    before = await session.aside(
        len(positions) * silent, lambda: {uids[at]: view.flags(at) for at in positions} if silent else {}
    )
    if how == "replace" and allowed != -1:
        away = ~mask & allowed
        changed, refused = await set_flags(view.ref, chosen, "remove", away, unchanged_since)
        unchanged = sorted(set(chosen).difference(refused))
        changed = sorted({*changed, *(await set_flags(view.ref, unchanged, "add", mask & allowed))[0]})
    else:
        changed, refused = await set_flags(view.ref, chosen, how, mask & allowed, unchanged_since)
    await session.absorb()
    if silent:
        await session.aside(len(changed), partial(_silence, session, view, before, changed, how, mask))
    else:
        view.changed.difference_update(chosen)
        left = set(refused)
        told = [at for at in positions if uids[at] not in left] if left else positions
        await session.tell_many_flags(told)
    return refused


def _modifier(session: Session, cursor: Cursor) -> int | None:
    if not cursor.try_byte(b"("):
        return None
    if cursor.word() != "UNCHANGEDSINCE":
        raise Syntax("UNCHANGEDSINCE is missing")
    cursor.space()
    modseq = cursor.number()
    cursor.byte(b")")
    cursor.space()
    session.condstore = True
    return modseq


async def _keyword(session: Session, view: View, name: str, *, make: bool) -> int:
    bit = view.words.bit(name)
    if bit is None:
        if not make:
            return 0
        bit = await session.services.store.keyword(view.ref, name)
        view.learn_keyword(bit, name)
        await session.tell(expunge=False)
    return 1 << bit


def _silence(
    session: Session, view: View, before: dict[int, int], changed: Sequence[int], how: str, mask: int
) -> None:
    """Keep quiet of what the client knows by itself; what others changed meanwhile is still told."""
    silent = []
    for one in changed:
        at, old = view.position(one), before[one]
        if at is not None and view.flags(at) == flagged(old, how, mask):
            silent.append(at)
            view.changed.discard(one)
    _tell_modseqs(session, view, silent)


def _tell_modseqs(session: Session, view: View, positions: Sequence[int]) -> None:
    """RFC 7162 §3.1.3: also of a silent change the modseq is told."""
    if session.condstore:
        uids = view.uids
        session.write(
            b"".join(
                b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (at + 1, uids[at], view.modseqs(at))
                for at in positions
            )
        )
