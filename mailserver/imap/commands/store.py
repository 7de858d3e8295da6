# SPDX-License-Identifier: AGPL-3.0-or-later
"""STORE (RFC 9051 §6.4.6) with UNCHANGEDSINCE (RFC 7162 §3.1.3); flags one may not change are left (RFC 4314 §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailserver.imap import flags
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.sequences import write_set
from mailserver.imap.naming import NotAllowed
from mailserver.imap.rights import flag_mask
from mailserver.imap.session import Session
from mailserver.imap.view import View
from mailserver.store.flagging import SLICE, Flagged, flagged

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
    positions = [at for span in wanted.positions(uids, uid=uid) for at in span]
    refused: Sequence[int] = ()
    if unchanged_since is None and (how != "replace" or allowed == -1):
        await _store(session, view, positions, how, mask & allowed, silent=bool(suffix))
    else:
        refused = await _store_unchanged(
            session, view, positions, how, mask, unchanged_since, allowed, silent=bool(suffix)
        )
    await session.tell(expunge=False)
    if refused:
        numbers = refused if uid else [at + 1 for one in refused if (at := view.position(one)) is not None]
        return b"[MODIFIED %b] Some were changed by others" % write_set(sorted(numbers))
    if not uid and view.gone and any(uids[at] in view.gone for at in positions):
        return b"[EXPUNGEISSUED] Some are gone"
    return b"Done"


async def _store(
    session: Session, view: View, positions: list[int], how: str, mask: int, *, silent: bool
) -> None:
    """Change slice by slice; the next one is on its way to the disk while the answer to this one is written."""
    uids, store = view.uids, session.services.store

    def begin(start: int) -> tuple[list[int], list[int], asyncio.Task[Flagged]]:
        part = [at for at in positions[start : start + SLICE] if uids[at] not in view.gone]
        changing, foreseen = view.foresee(part, how, mask)
        return (
            part,
            changing,
            asyncio.create_task(store.flag(view.ref, [uids[at] for at in part], how, mask, foreseen)),
        )

    coming = begin(0)
    for start in range(0, max(len(positions), 1), SLICE):
        part, changing, task = coming
        done = await task
        before = {} if done.foreseen else {uids[at]: view.flags(at) for at in part}
        if not view.flagged(changing, how, mask, done):
            await session.absorb()
        if start + SLICE < len(positions):
            coming = begin(start + SLICE)
        if not silent:
            view.changed.difference_update([uids[at] for at in part])
            await session.tell_many_flags(part)
        elif done.foreseen:
            _tell_modseqs(session, view, changing)
        else:
            _silence(session, view, before, done.changed, how, mask)


async def _store_unchanged(
    session: Session,
    view: View,
    positions: list[int],
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
    before = {one: view.flags(at) for one, at in zip(chosen, positions, strict=True)} if silent else {}
    if how == "replace" and allowed != -1:
        away = ~mask & allowed
        changed, refused = await set_flags(view.ref, chosen, "remove", away, unchanged_since)
        unchanged = [one for one in chosen if one not in set(refused)]
        changed = sorted({*changed, *(await set_flags(view.ref, unchanged, "add", mask & allowed))[0]})
    else:
        changed, refused = await set_flags(view.ref, chosen, how, mask & allowed, unchanged_since)
    await session.absorb()
    if silent:
        _silence(session, view, before, changed, how, mask)
    else:
        view.changed.difference_update(chosen)
        left = set(refused)
        await session.tell_many_flags(
            [at for at, one in zip(positions, chosen, strict=True) if one not in left]
        )
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
