# SPDX-License-Identifier: AGPL-3.0-or-later
"""Names as a session sees them: its own mailboxes, and ``Shared/<registry address>[/<folder>]``.

A name one may not see and a name that does not exist are the same thing here, so nothing leaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailserver.accounts import Account, Accounts
from mailserver.imap.replies import No
from mailserver.store import Mailbox, Ref, Store
from mailserver.store.mailboxes import NoSuchMailbox

SEPARATOR = "/"
SHARED = "Shared"
INBOX = "INBOX"
_MAX_NAME = 250
_MAX_LEVELS = 16

SharedWith = Callable[[Account], Sequence[Account]]
"""The registry accounts whose mailboxes an account may use."""


def registry_of_clerk(accounts: Accounts) -> SharedWith:
    """The usual rule: a clerk uses the registry mailbox of the own agency, others none."""

    def shared(account: Account) -> Sequence[Account]:
        if account.role != "clerk":
            return ()
        home = accounts.agency(account.agency_code)
        registry = accounts.by_ref(home.registry) if home is not None else None
        return (registry,) if registry is not None else ()

    return shared


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name leads: the account that owns the mailbox and the mailbox's own name there."""

    owner: Account
    name: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Named:
    """A mailbox under the name the session sees; ``mailbox`` is None for a name that only has children."""

    name: str
    mailbox: Mailbox | None
    shared: bool


class Names:
    """The name space of one account."""

    def __init__(self, store: Store, account: Account, shared: SharedWith) -> None:
        self._store = store
        self._account = account
        self._shared = shared

    def place(self, name: str) -> Place:
        """The owner and inner name of ``name``. Raises `NoSuchMailbox` when it is not a name of this space."""
        first, slash, rest = name.partition(SEPARATOR)
        if first != SHARED:
            return Place(self._account, name, False)
        address, _, inner = rest.partition(SEPARATOR)
        for owner in self._shared(self._account) if slash else ():
            if owner.address == address.lower():
                return Place(owner, inner or INBOX, True)
        raise NoSuchMailbox

    def ref(self, name: str) -> Ref:
        """The mailbox of ``name``. Raises `NoSuchMailbox`."""
        place = self.place(name)
        found = self._store.find(place.owner.ref, place.name)
        if found is None:
            raise NoSuchMailbox
        return found

    def mailbox(self, name: str) -> Mailbox:
        """The mailbox of ``name`` with its counters. Raises `NoSuchMailbox`."""
        found = self._store.mailbox(self.ref(name))
        if found is None:
            raise NoSuchMailbox
        return found

    def has_shared(self) -> bool:
        """Whether anything is shared with the account."""
        return bool(self._shared(self._account))

    def all(self) -> list[Named]:
        """Every name, INBOX first, names that only have children included."""
        found = [Named(one.name, one, False) for one in self._store.mailboxes(self._account.ref)]
        for owner in self._shared(self._account):
            prefix = f"{SHARED}{SEPARATOR}{owner.address}"
            for one in self._store.mailboxes(owner.ref):
                name = prefix if one.name == INBOX else f"{prefix}{SEPARATOR}{one.name}"
                found.append(Named(name, one, True))
        known = {named.name for named in found}
        out: list[Named] = []
        for named in found:
            levels = named.name.split(SEPARATOR)
            for count in range(1, len(levels)):
                parent = SEPARATOR.join(levels[:count])
                if parent not in known:
                    known.add(parent)
                    out.append(Named(parent, None, named.shared))
            out.append(named)
        return out

    def children(self, place: Place) -> list[Mailbox]:
        """The mailboxes below a place."""
        prefix = place.name + SEPARATOR
        return [one for one in self._store.mailboxes(place.owner.ref) if one.name.startswith(prefix)]


def check_new(name: str) -> str:
    """A name fit for a new mailbox (a closing separator is dropped). Raises `No`."""
    clean = name.rstrip(SEPARATOR)
    levels = clean.split(SEPARATOR)
    bad = (
        not clean
        or len(clean) > _MAX_NAME
        or len(levels) > _MAX_LEVELS
        or any(not level or level != level.strip() for level in levels)
        or not clean.isprintable()
        or any(one in clean for one in "*%")
    )
    if bad:
        raise No(
            "CANNOT",
            "Tên hộp thư không dùng được (rỗng, quá dài, hoặc có ký tự * % hay ký tự điều khiển).",
            "This name can't be used (empty, too long, or with * % or control characters).",
        )
    if levels[0].casefold() == SHARED.casefold() and len(levels) < 3:
        raise No(
            "CANNOT",
            "Tên “Shared” dành cho hộp thư dùng chung.",
            "The name “Shared” is kept for shared mailboxes.",
        )
    return clean
