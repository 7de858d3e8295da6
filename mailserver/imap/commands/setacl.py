# SPDX-License-Identifier: AGPL-3.0-or-later
"""SETACL (RFC 4314 §3.1): give, add or take rights of an account, or of anyone, in a mailbox."""

from __future__ import annotations

from mailserver.imap.commands.getacl import administered, identified
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.replies import No
from mailserver.imap.rights import ALL, changed, standing
from mailserver.imap.session import Session


async def run(session: Session, cursor: Cursor) -> bytes:
    """Change rights."""
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    identifier = cursor.astring()
    cursor.space()
    change = cursor.astring().decode("ascii", "replace")
    cursor.end()
    await set_rights(session, name, identifier, change)
    return b"Done"


async def set_rights(session: Session, name: str, identifier: bytes, change: str) -> None:
    """Apply a change as SETACL writes it; the rights of owners, and those by role, can't be taken."""
    place, mailbox = administered(session, name)
    who, account = identified(session, identifier)
    store = session.services.store
    before = store.grants(mailbox.ref).get(who, "")
    base = standing(account, place.owner) if account is not None else ""
    wanted = changed(before or base, change)
    if account is not None and any(one not in wanted for one in base):
        raise No(
            "CANNOT",
            "Quyền của chủ hộp thư và quyền theo chức trách không thu hồi được ở đây.",
            "The rights of an owner, and those of an office, can't be taken here.",
        )
    if who == place.owner.ref and wanted == ALL:
        return
    granted = "".join(one for one in wanted if one not in base)
    await store.grant(mailbox, who, granted, session.person.address, place.owner.address)
