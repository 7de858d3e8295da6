# SPDX-License-Identifier: AGPL-3.0-or-later
"""STATUS (RFC 9051 §6.3.11, RFC 7162 §3.1.7, RFC 8438 §2, RFC 8474 §4.3): counters, in the order asked (Q8, Q23)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.session import Session
from mailserver.store import DELETED, Mailbox
from mailserver.store.identifiers import mailbox_id

_ITEMS: dict[str, Callable[[Mailbox], int]] = {
    "MESSAGES": lambda one: one.exists,
    "RECENT": lambda one: 0,
    "UIDNEXT": lambda one: one.uidnext,
    "UIDVALIDITY": lambda one: one.uidvalidity,
    "UNSEEN": lambda one: one.unseen,
    "SIZE": lambda one: one.size,
    "HIGHESTMODSEQ": lambda one: one.highestmodseq,
}
_OTHERS = frozenset({"APPENDLIMIT", "MAILBOXID", "DELETED"})


async def run(session: Session, cursor: Cursor) -> bytes:
    """The counters of a mailbox."""
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    items = parse_items(cursor)
    cursor.end()
    mailbox = session.names.mailbox(name)
    found = await session.aside(weight(mailbox, items), partial(status_items, session, mailbox, items))
    session.untagged(b"STATUS %b (%b)" % (strings.mailbox(name, utf8=session.utf8_names), found))
    return b"Done"


def parse_items(cursor: Cursor) -> tuple[str, ...]:
    """The parenthesised items."""
    items = tuple(cursor.words())
    unknown = [one for one in items if one not in _ITEMS and one not in _OTHERS]
    if unknown or not items:
        raise Syntax(f"{unknown[0][:40]} is not an item of STATUS" if unknown else "No items")
    return items


def weight(mailbox: Mailbox, items: tuple[str, ...]) -> int:
    """How many rows the items make the store look at."""
    return mailbox.exists if "DELETED" in items else 0


def status_items(session: Session, mailbox: Mailbox, items: tuple[str, ...]) -> bytes:
    """The items with their values."""
    if "HIGHESTMODSEQ" in items:
        session.condstore = True
    return b" ".join(b"%b %b" % (one.encode(), _value(session, mailbox, one)) for one in items)


def _value(session: Session, mailbox: Mailbox, item: str) -> bytes:
    if item == "APPENDLIMIT":
        return b"%d" % session.services.append_limit
    if item == "MAILBOXID":
        return b"(" + mailbox_id(mailbox.ref) + b")"
    if item == "DELETED":
        return b"%d" % session.services.store.count_flagged(mailbox.ref, DELETED)
    return b"%d" % _ITEMS[item](mailbox)
