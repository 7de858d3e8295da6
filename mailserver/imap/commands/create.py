# SPDX-License-Identifier: AGPL-3.0-or-later
"""CREATE (RFC 9051 §6.3.4), with a special use (RFC 6154 §3) and MAILBOXID (RFC 8474 §4.1).

One mailbox a use, no twins (Q17); a mailbox below a shared one is shared with the same people.
"""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.naming import check_new, require
from mailserver.imap.replies import No
from mailserver.imap.session import Session
from mailserver.store.identifiers import mailbox_id
from mailserver.store.model import SPECIAL_FOLDERS

_USES = {use.upper(): use for use, _ in SPECIAL_FOLDERS}


async def run(session: Session, cursor: Cursor) -> bytes:
    """Make a mailbox; names above it need not exist."""
    cursor.space()
    name = check_new(cursor.mailbox())
    use = _use(cursor) if cursor.try_space() and not cursor.at_end() else None
    cursor.end()
    place = session.names.place(name)
    store = session.services.store
    require(place, "k")
    if use is not None and (place.shared or store.find_use(place.owner.ref, use) is not None):
        raise No(
            "USEATTR",
            "Đã có hộp thư dành cho mục đích này.",
            "There is a mailbox for this use already.",
        )
    parent = session.names.above(place)
    if parent is not None and use is None:
        ref = await store.create_below(parent, place.name)
    else:
        ref = await store.create(place.owner.ref, place.name, use)
    return b"[MAILBOXID (%b)] Made" % mailbox_id(ref)


def _use(cursor: Cursor) -> str | None:
    cursor.byte(b"(")
    if cursor.word() != "USE":
        raise Syntax("USE is missing")
    cursor.space()
    wanted = cursor.flags()
    cursor.byte(b")")
    if not wanted:
        return None
    if len(wanted) > 1 or wanted[0].upper() not in _USES:
        raise No("USEATTR", "Mục đích này không được hỗ trợ.", "This use is not supported.")
    return _USES[wanted[0].upper()]
