# SPDX-License-Identifier: AGPL-3.0-or-later
"""COPY (RFC 9051 §6.4.7) with COPYUID; messages already gone are passed over, not an error (Q11)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mailserver.imap.commands.append import judge_copies
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.grammar.sequences import write_set
from mailserver.imap.naming import require
from mailserver.imap.replies import No
from mailserver.imap.rights import flag_mask
from mailserver.imap.session import Session
from mailserver.imap.view import View, uids_of
from mailserver.store import Mailbox
from mailserver.store.mailboxes import NoSuchMailbox

_KEYWORDS = ~0xFF


@dataclass(frozen=True, slots=True)
class Target:
    """Where messages go, and the session's rights there."""

    mailbox: Mailbox
    rights: str


async def run(session: Session, cursor: Cursor, uid: bool = False) -> bytes:
    """Copy messages into another mailbox."""
    view = session.selected
    uids, target = await arguments(session, cursor, uid=uid)
    words = await session.aside(len(uids), partial(keywords_of, view, uids))
    pairs = await session.services.store.copy(view.ref, uids, target.mailbox.ref)
    await limit_flags(session, pairs, target)
    await keep_keywords(session, words, pairs, target)
    if target.mailbox.ref == view.ref:
        await session.absorb()
        await session.tell(expunge=False)
    return await session.aside(len(pairs), partial(copyuid, target.mailbox, pairs)) + b"Copied"


async def arguments(session: Session, cursor: Cursor, *, uid: bool) -> tuple[list[int], Target]:
    """The UIDs and the target of COPY and MOVE. Raises `No` [TRYCREATE] when there is no such mailbox."""
    view = session.selected
    cursor.space()
    wanted = cursor.sequence_set()
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    await session.loaded()
    chosen = await session.aside(view.exists, partial(uids_of, view, wanted, uid=uid))
    if view.gone:
        chosen = [one for one in chosen if one not in view.gone]
    try:
        place = session.names.place(name)
        target = session.services.store.mailbox(place.ref) if place.ref is not None else None
        if target is None:
            raise NoSuchMailbox
    except NoSuchMailbox as problem:
        raise No("TRYCREATE", problem.vi, problem.en) from problem
    require(place, "i")
    if place.shared and view.owner != target.owner:
        await judge_copies(session, view.ref, chosen, target)
    return chosen, Target(target, place.rights)


def copyuid(target: Mailbox, pairs: list[tuple[int, int]]) -> bytes:
    """The COPYUID code (RFC 9051 §7.1), empty when nothing was copied."""
    if not pairs:
        return b""
    source, copies = write_set(old for old, _ in pairs), write_set(new for _, new in pairs)
    return b"[COPYUID %d %b %b] " % (target.uidvalidity, source, copies)


def keywords_of(view: View, uids: list[int]) -> dict[str, list[int]]:
    """The UIDs that have each keyword; bits mean other words in another mailbox."""
    found: dict[str, list[int]] = {}
    for uid in uids:
        at = view.position(uid)
        mask = view.flags(at) & _KEYWORDS if at is not None else 0
        if mask:
            for bit, name in view.words.keywords.items():
                if mask >> bit & 1:
                    found.setdefault(name, []).append(uid)
    return found


async def keep_keywords(
    session: Session, words: dict[str, list[int]], pairs: list[tuple[int, int]], target: Target
) -> None:
    """Give the copies the keywords of their originals (RFC 9051 §6.4.7: flags are kept)."""
    if "w" not in target.rights:
        return
    if not words:
        return
    copies = dict(pairs)
    ref = target.mailbox.ref
    store = session.services.store
    for name, uids in words.items():
        new = [copies[uid] for uid in uids if uid in copies]
        if new:
            await store.set_flags(ref, new, "add", 1 << await store.keyword(ref, name))


async def limit_flags(session: Session, pairs: list[tuple[int, int]], target: Target) -> None:
    """Take from the copies the system flags the session may not set where they are now (RFC 4314 §4)."""
    away = ~flag_mask(target.rights) & 0xFF
    copies = [new for _, new in pairs] if away else []
    if copies:
        await session.services.store.set_flags(target.mailbox.ref, copies, "remove", away)
