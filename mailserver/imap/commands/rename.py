# SPDX-License-Identifier: AGPL-3.0-or-later
"""RENAME (RFC 9051 §6.3.6): with all below it; of INBOX: its messages move into the new mailbox."""

from __future__ import annotations

import asyncio

from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.naming import INBOX, SEPARATOR, NotAllowed, check_new, require
from mailserver.imap.replies import No
from mailserver.imap.session import Session
from mailserver.store.mailboxes import MailboxExists, NoSuchMailbox


async def run(session: Session, cursor: Cursor) -> bytes:
    """Give a mailbox another name."""
    cursor.space()
    old = cursor.mailbox()
    cursor.space()
    new = check_new(cursor.mailbox())
    cursor.end()
    names, store = session.names, session.services.store
    source, target = names.place(old), names.place(new)
    if source.ref is not None:
        require(source, "r" if source.name == INBOX else "x")
    require(target, "k")
    if source.owner.ref != target.owner.ref:
        raise No(
            "CANNOT",
            "Không thể đổi tên sang hộp thư của tài khoản khác; hãy chuyển thư sang đó.",
            "A mailbox can't be renamed into another account; please move its messages instead.",
        )
    owner = source.owner.ref
    if store.find(owner, target.name) is not None:
        raise MailboxExists
    if source.name == INBOX:
        ref = names.ref(old)
        made = await store.create(owner, target.name)
        await store.move(ref, [uid for uid, *_ in await asyncio.to_thread(store.marks, ref)], made)
        return b"Renamed"
    below = names.children(source)
    own = store.find(owner, source.name)
    if own is None and not below:
        raise NoSuchMailbox
    if target.name.startswith(source.name + SEPARATOR):
        raise No("CANNOT", "Không thể đưa hộp thư vào trong chính nó.", "A mailbox can't be put into itself.")
    if source.shared and any("x" not in names.rights(one.ref, owner) for one in below):
        raise NotAllowed("x")
    for one in below:
        if store.find(owner, target.name + one.name[len(source.name) :]) is not None:
            raise MailboxExists
    if own is not None:
        await store.rename(own, owner, target.name)
    for one in below:
        await store.rename(one.ref, owner, target.name + one.name[len(source.name) :])
    return b"Renamed"
