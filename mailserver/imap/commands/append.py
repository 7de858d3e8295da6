# SPDX-License-Identifier: AGPL-3.0-or-later
"""APPEND (RFC 9051 §6.3.12) with APPENDUID; into a shared mailbox only what the rules let pass (DESIGN 4.9)."""

from __future__ import annotations

import asyncio

from config.clock import now_us
from mailserver.accounts import Account
from mailserver.imap import flags
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.strings import parse_date_time
from mailserver.imap.replies import No, words
from mailserver.imap.session import Session
from mailserver.message import scan
from mailserver.store import Mailbox, Ref
from mailserver.store.mailboxes import NoSuchMailbox

_SAME_WITHIN_US = 10 * 60 * 1_000_000
_SAME_AMONG = 20


async def run(session: Session, cursor: Cursor) -> bytes:
    """Put a message into a mailbox."""
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    wanted = cursor.flags() if cursor.at(b"(") else []
    if wanted or cursor.at(b" "):
        cursor.space()
    moment = _moment(cursor)
    data = cursor.literal()
    cursor.end()
    mask, keywords = flags.split(wanted)
    try:
        mailbox = session.names.mailbox(name)
    except NoSuchMailbox as problem:
        raise No("TRYCREATE", problem.vi, problem.en) from problem
    if not data or b"\0" in data:
        raise Syntax("A message has no NUL octet and is not empty")
    place = session.names.place(name)
    if place.shared:
        await judge(session, mailbox, data)
    store = session.services.store
    known = (
        await asyncio.to_thread(_same, session, mailbox, data) if mailbox.special_use == "\\Sent" else None
    )
    if known is None:
        for one in keywords:
            mask |= 1 << await store.keyword(mailbox.ref, one)
        known = await store.append(mailbox.ref, data, mask, now_us() if moment is None else moment)
    view = session.view
    if view is not None and view.ref == mailbox.ref:
        await session.absorb()
        await session.tell(expunge=False)
    return b"[APPENDUID %d %d] Kept" % (mailbox.uidvalidity, known)


def _moment(cursor: Cursor) -> int | None:
    if not cursor.at(b'"'):
        return None
    moment = parse_date_time(cursor.string())
    if moment is None:
        raise Syntax("The date and time is wrong")
    cursor.space()
    return moment


def _same(session: Session, mailbox: Mailbox, data: bytes) -> int | None:
    """The UID of a copy of this sent message that is already there: programs and servers both file one (Q33)."""
    message_id = scan(data).message_id
    if message_id is None:
        return None
    store = session.services.store
    since = now_us() - _SAME_WITHIN_US
    recent = [row for row in store.newest(mailbox.ref, _SAME_AMONG) if row.internaldate_us >= since]
    found = store.summaries([row.blob for row in recent])
    for row in recent:
        if row.blob in found and found[row.blob].message_id == message_id:
            return row.uid
    return None


async def judge(session: Session, mailbox: Mailbox, data: bytes) -> None:
    """Ask the rules about a message for a shared mailbox. A block is raised; a warning is an ALERT."""
    ask = session.services.judge_append
    if ask is None or session.account is None:
        return
    account: Account = session.account
    warning = await asyncio.to_thread(ask, account, mailbox, data)
    if warning:
        session.untagged(b"OK [ALERT] " + words(warning, "see the rule named").encode())


async def judge_copies(session: Session, source: Ref, uids: list[int], target: Mailbox) -> None:
    """Ask the rules about messages copied or moved into a shared mailbox from another owner's."""
    store = session.services.store
    for uid in uids:
        for row in store.rows(source, uid, uid):
            await judge(session, target, await asyncio.to_thread(store.content, row.blob))
