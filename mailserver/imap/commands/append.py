# SPDX-License-Identifier: AGPL-3.0-or-later
"""APPEND (RFC 9051 §6.3.12, RFC 4315 §3) of one message or several, all or none (RFC 3502 §6.3.11).

A message may come as literal8 (RFC 3516 §4.4) or as UTF8 literal (RFC 6855 §4). Into a shared mailbox comes
only what the rules let pass (DESIGN 4.9).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from config.clock import now_us
from mailserver.accounts import Account
from mailserver.imap import flags
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.sequences import write_set
from mailserver.imap.grammar.strings import parse_date_time
from mailserver.imap.naming import require
from mailserver.imap.replies import No, words
from mailserver.imap.rights import flag_mask
from mailserver.imap.session import Session
from mailserver.message import scan
from mailserver.store import Mailbox, Ref
from mailserver.store.mailboxes import NoSuchMailbox

_SAME_WITHIN_US = 10 * 60 * 1_000_000
_SAME_AMONG = 20


@dataclass(frozen=True, slots=True)
class _Message:
    data: bytes
    flags: list[str]
    moment: int | None


async def run(session: Session, cursor: Cursor) -> bytes:
    """Put messages into a mailbox."""
    cursor.space()
    name = cursor.mailbox()
    wanted = [_message(session, cursor)]
    while cursor.try_space() and not cursor.at_end():
        wanted.append(_message(session, cursor, spaced=True))
    cursor.end()
    split = [flags.split(one.flags) for one in wanted]
    try:
        place = session.names.place(name)
        mailbox = session.services.store.mailbox(place.ref) if place.ref is not None else None
        if mailbox is None:
            raise NoSuchMailbox
    except NoSuchMailbox as problem:
        raise No("TRYCREATE", problem.vi, problem.en) from problem
    require(place, "i")
    for one in wanted:
        _check(one.data)
        if place.shared:
            await judge(session, mailbox, one.data)
    store = session.services.store
    if len(wanted) == 1 and mailbox.special_use == "\\Sent":
        known = await asyncio.to_thread(_same, session, mailbox, wanted[0].data)
        if known is not None:
            return b"[APPENDUID %d %d] Kept" % (mailbox.uidvalidity, known)
    may_set = flag_mask(place.rights)
    made: list[tuple[bytes, int, int]] = []
    for one, (mask, keywords) in zip(wanted, split, strict=True):
        for word in keywords if "w" in place.rights else ():
            mask |= 1 << await store.keyword(mailbox.ref, word)
        made.append((one.data, mask & may_set, now_us() if one.moment is None else one.moment))
    if len(made) == 1:
        uids = [await store.append(mailbox.ref, *made[0])]
    else:
        uids = await store.append_many(mailbox.ref, made)
    view = session.view
    if view is not None and view.ref == mailbox.ref:
        await session.absorb()
        await session.tell(expunge=False)
    return b"[APPENDUID %d %b] Kept" % (mailbox.uidvalidity, write_set(uids))


def _message(session: Session, cursor: Cursor, *, spaced: bool = False) -> _Message:
    if not spaced:
        cursor.space()
    wanted = cursor.flags() if cursor.at(b"(") else []
    if wanted or cursor.at(b" "):
        cursor.space()
    moment = _moment(cursor)
    if cursor.at(b"UTF8 (") or cursor.at(b"utf8 ("):
        if not session.utf8_names:
            raise Syntax("UTF8 needs ENABLE UTF8=ACCEPT")
        cursor.word()
        cursor.space()
        cursor.byte(b"(")
        data = cursor.literal()
        cursor.byte(b")")
    else:
        data = cursor.literal()
    if len(data) > session.services.append_limit:
        raise No("TOOBIG", "Thư quá lớn.", "This message is too big.")
    return _Message(data, wanted, moment)


def _check(data: bytes) -> None:
    """Raise `No` for what is not a message: nothing at all, or NUL, which the store keeps for nobody."""
    if not data:
        raise No("CANNOT", "Thư rỗng; không có thư nào được lưu.", "An empty message; nothing was kept.")
    if b"\0" in data:
        raise No(
            "UNKNOWN-CTE",
            "Thư có byte NUL không lưu được; hãy mã hóa base64.",
            "A message with NUL octets is not kept here; please encode it as base64.",
        )


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
