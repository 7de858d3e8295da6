# SPDX-License-Identifier: AGPL-3.0-or-later
"""GETACL (RFC 4314 §3.3): who may do what in a mailbox, by role and by grant."""

from __future__ import annotations

from mailserver.accounts import Account, AccountRef
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor
from mailserver.imap.naming import Place
from mailserver.imap.replies import No
from mailserver.imap.rights import ALL, joined, shown, standing
from mailserver.imap.session import Session
from mailserver.store import Mailbox
from mailserver.store.grants import ANYONE


async def run(session: Session, cursor: Cursor) -> bytes:
    """List the rights of a mailbox; only for who administers it."""
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    place, mailbox = administered(session, name)
    words = [strings.mailbox(name, utf8=session.utf8_names)]
    for who, rights in entries(session, place, mailbox):
        words += [strings.astring(who.encode()), strings.astring(shown(rights).encode())]
    session.untagged(b"ACL " + b" ".join(words))
    return b"Done"


def administered(session: Session, name: str) -> tuple[Place, Mailbox]:
    """A mailbox the session may administer. Raises `NoSuchMailbox`, `No` [NOPERM]."""
    mailbox = session.names.mailbox(name, "a")
    return session.names.place(name), mailbox


def entries(session: Session, place: Place, mailbox: Mailbox) -> list[tuple[str, str]]:
    """(identifier, rights) of the owner, of who has them by role, and of who was granted them."""
    accounts, store = session.services.accounts, session.services.store
    held: dict[AccountRef, str] = {place.owner.ref: ALL}
    if place.owner.role == "registry":
        for one in accounts.members(place.owner.agency_code):
            rights = standing(one, place.owner)
            if rights:
                held[one.ref] = rights
    for ref, rights in store.grants(mailbox.ref).items():
        held[ref] = joined(held.get(ref, ""), rights)
    found = []
    for ref, rights in held.items():
        account = accounts.by_ref(ref)
        if ref == ANYONE or account is not None:
            found.append(("anyone" if account is None else account.address, rights))
    return found


def identified(session: Session, identifier: bytes) -> tuple[AccountRef, Account | None]:
    """The account an identifier names; None is anyone. Raises `NoSuchAccount`."""
    text = identifier.decode("utf-8", "replace")
    if text.casefold() == "anyone":
        return ANYONE, None
    account = session.services.accounts.by_address(text)
    if account is None or account.role == "registry":
        raise NoSuchAccount
    return account.ref, account


class NoSuchAccount(No):
    """An identifier that names nobody."""

    def __init__(self) -> None:
        super().__init__(
            "CANNOT",
            "Không có tài khoản này.",
            "There is no such account; rights are given to accounts or anyone.",
        )
