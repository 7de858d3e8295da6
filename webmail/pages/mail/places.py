# SPDX-License-Identifier: AGPL-3.0-or-later
"""The mailboxes a person may open and the names they have in addresses (``/mail/<slug>``)."""

from __future__ import annotations

from dataclasses import dataclass

from config.refusal import Refused
from mailserver.accounts import Account
from mailserver.store import Mailbox, mailboxes
from mailserver.store.model import INBOX
from webmail import rights
from webmail.parts import Parts

_USES = {
    "\\Sent": "sent",
    "\\Drafts": "drafts",
    "\\Trash": "trash",
    "\\Junk": "junk",
    "\\Archive": "archive",
}


class NoSuchPlace(Refused):
    """There is no such mailbox, or it is somebody else's: the two look alike."""

    def __init__(self) -> None:
        super().__init__(
            "no-such-mailbox", "Không có hộp thư này.", "There is no such mailbox, or it may not be opened."
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox as this person meets it. ``kind``: inbox, sent, drafts, trash, junk, archive or "" (own name).

    ``shared`` marks a mailbox of the agency's registry, or of somebody who delegated it: ``lent_by`` is the name.
    """

    slug: str
    kind: str
    shared: bool
    box: Mailbox
    lent_by: str = ""

    @property
    def place(self) -> str:
        """Its name in the navigation."""
        return f"mail.{self.slug}"

    @property
    def title_key(self) -> str:
        """The catalogue's key of its name; "" when it has a name of its own."""
        if not self.kind:
            return ""
        return f"mail.registry-{self.kind}" if self.shared and not self.lent_by else f"mail.{self.kind}"


def places_of(parts: Parts, account: Account) -> list[Place]:
    """All mailboxes ``account`` may open: its own first, then the registry's. Makes a new account's first ones."""
    found: list[Place] = []
    registry = rights.registry_of(parts.accounts, account)
    for owner in rights.owners(parts.accounts, account):
        boxes = parts.store.mailboxes(owner)
        if not boxes:
            parts.database.write(
                lambda conn, owner=owner: mailboxes.create_standard(conn, parts.seal, owner)  # type: ignore[misc]
            )
            boxes = parts.store.mailboxes(owner)
        whose = parts.accounts.by_ref(owner) if owner != account.ref else None
        lent = whose.name if whose is not None and owner != registry else ""
        found += [_place(one, owner != account.ref, lent) for one in boxes]
    return found


def place_called(places: list[Place], slug: str) -> Place:
    """The mailbox with this slug. Raises `NoSuchPlace`."""
    for one in places:
        if slug in (one.slug, f"{one.box.ref.agency}.{one.box.ref.mailbox}"):
            return one
    raise NoSuchPlace


def sibling(places: list[Place], of: Place, kind: str) -> Place:
    """The mailbox of ``kind`` (trash, archive, …) of the owner of ``of``. Raises `NoSuchPlace`."""
    for one in places:
        if one.kind == kind and one.box.owner == of.box.owner:
            return one
    raise NoSuchPlace


def _place(box: Mailbox, shared: bool, lent_by: str) -> Place:
    kind = "inbox" if box.name == INBOX else _USES.get(box.special_use or "", "")
    if not kind or lent_by:
        return Place(f"{box.ref.agency}.{box.ref.mailbox}", kind, shared, box, lent_by)
    if not shared:
        return Place(kind, kind, False, box)
    return Place("registry" if kind == "inbox" else f"registry-{kind}", kind, True, box)
