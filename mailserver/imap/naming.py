# SPDX-License-Identifier: AGPL-3.0-or-later
"""Names as a session sees them (RFC 9051 §5.1.2): its own mailboxes, ``Shared/<registry address>[/<folder>]``
and ``Users/<address>/<folder>`` for what other people share.

A name one may not see and a name that does not exist are the same thing here, so nothing leaks (S30).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailserver.accounts import Account, AccountRef, Accounts, delegations
from mailserver.imap.replies import No
from mailserver.imap.rights import ALL, DEPUTY, joined, standing
from mailserver.store import Mailbox, Ref, Store
from mailserver.store.mailboxes import NoSuchMailbox
from policy.rights import may

SEPARATOR = "/"
SHARED = "Shared"
USERS = "Users"
INBOX = "INBOX"
_MAX_NAME = 250
_MAX_LEVELS = 16

SharedWith = Callable[[Account], Sequence[Account]]
"""The registry accounts whose mailboxes an account may use without a grant."""


def registry_of_clerk(accounts: Accounts) -> SharedWith:
    """The usual rule: who may read the own agency's registry mailbox by role; a deputy what is delegated now."""

    def shared(account: Account) -> Sequence[Account]:
        lent = delegations.read_by(accounts, account)
        if not may(account.role, "registry.read", "same-agency"):
            return lent
        home = accounts.agency(account.agency_code)
        registry = accounts.by_ref(home.registry) if home is not None else None
        if registry is None or registry.ref == account.ref:
            return lent
        return [registry, *(one for one in lent if one != registry)]

    return shared


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name leads: the owner, the mailbox's own name there, the mailbox if there is one, and the
    session's rights (those of the nearest mailbox above when there is none)."""

    owner: Account
    name: str
    shared: bool
    ref: Ref | None
    rights: str


@dataclass(frozen=True, slots=True)
class Named:
    """A mailbox under the name the session sees; ``mailbox`` is None for a name that only has children."""

    name: str
    mailbox: Mailbox | None
    shared: bool
    rights: str = ""


class Names:
    """The name space of one account."""

    def __init__(self, store: Store, accounts: Accounts, account: Account, shared: SharedWith) -> None:
        self._store = store
        self._accounts = accounts
        self._account = account
        self._shared = shared
        self._inbox: Ref | None = None  # found once: it is never deleted or renamed away

    def place(self, name: str) -> Place:
        """Where ``name`` leads. Raises `NoSuchMailbox` when nothing of it may be seen."""
        if name == INBOX:
            self._inbox = self._inbox or self._store.find(self._account.ref, INBOX)
            return Place(self._account, name, False, self._inbox, ALL)
        first, _, rest = name.partition(SEPARATOR)
        if first not in (SHARED, USERS):
            return Place(self._account, name, False, self._store.find(self._account.ref, name), ALL)
        address, _, inner = rest.partition(SEPARATOR)
        owner = self._accounts.by_address(address) if address else None
        if owner is None or owner.ref == self._account.ref or (owner.role == "registry") != (first == SHARED):
            raise NoSuchMailbox
        inner = inner or INBOX
        base = self._base(owner)
        granted = self._granted(owner.ref)
        ref = self._store.find(owner.ref, inner)
        if ref is not None:
            rights = joined(base, granted.get(ref, ""))
        else:
            above = self._above(owner, inner)
            rights = joined(base, granted.get(above, "") if above is not None else "")
        if "l" not in rights and "r" not in rights:
            raise NoSuchMailbox
        return Place(owner, inner, True, ref, rights)

    def _base(self, owner: Account) -> str:
        """The rights without a grant: by role, or as a deputy for now."""
        if owner not in self._shared(self._account):
            return ""
        return standing(self._account, owner) or (
            DEPUTY if may(self._account.role, "mail.read.own", "deputy") else ""
        )

    def _granted(self, owner: AccountRef) -> dict[Ref, str]:
        found: dict[Ref, str] = {}
        for one in self._store.granted_to(self._account.ref):
            if one.owner == owner:
                found[one.ref] = joined(found.get(one.ref, ""), one.rights)
        return found

    def _above(self, owner: Account, name: str) -> Ref | None:
        """The nearest mailbox above a name."""
        while SEPARATOR in name:
            name = name.rpartition(SEPARATOR)[0]
            found = self._store.find(owner.ref, name)
            if found is not None:
                return found
        return None

    def above(self, place: Place) -> Mailbox | None:
        """The nearest mailbox above a place."""
        ref = self._above(place.owner, place.name)
        return self._store.mailbox(ref) if ref is not None else None

    def rights(self, mailbox: Ref, owner: AccountRef) -> str:
        """The session's rights in a mailbox now, whatever its name."""
        if owner == self._account.ref:
            return ALL
        account = self._accounts.by_ref(owner)
        base = self._base(account) if account is not None else ""
        return joined(base, self._granted(owner).get(mailbox, ""))

    def ref(self, name: str, right: str = "r") -> Ref:
        """The mailbox of ``name``. Raises `NoSuchMailbox`, `No` [NOPERM] without the right."""
        place = self.place(name)
        if place.ref is None:
            raise NoSuchMailbox
        require(place, right)
        return place.ref

    def mailbox(self, name: str, right: str = "r") -> Mailbox:
        """The mailbox of ``name`` with its counters. Raises as `ref`."""
        found = self._store.mailbox(self.ref(name, right))
        if found is None:
            raise NoSuchMailbox
        return found

    def has_shared(self) -> tuple[bool, bool]:
        """Whether there are mailboxes under ``Users`` and under ``Shared``."""
        owners = [self._accounts.by_ref(one.owner) for one in self._store.granted_to(self._account.ref)]
        roles = {one.role for one in (*owners, *self._shared(self._account)) if one is not None}
        return bool(roles - {"registry"}), "registry" in roles

    def all(self) -> list[Named]:
        """Every name, INBOX first, names that only have children included."""
        found = [Named(one.name, one, False, ALL) for one in self._store.mailboxes(self._account.ref)]
        by_owner: dict[AccountRef, dict[Ref, str]] = {one.ref: {} for one in self._shared(self._account)}
        for one in self._store.granted_to(self._account.ref):
            rights = by_owner.setdefault(one.owner, {})
            rights[one.ref] = joined(rights.get(one.ref, ""), one.rights)
        for ref, granted in by_owner.items():
            owner = self._accounts.by_ref(ref)
            if owner is not None:
                found += self._of_others(owner, granted)
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

    def _of_others(self, owner: Account, granted: dict[Ref, str]) -> list[Named]:
        base = self._base(owner)
        prefix = f"{SHARED if owner.role == 'registry' else USERS}{SEPARATOR}{owner.address}"
        found = []
        for one in self._store.mailboxes(owner.ref):
            rights = joined(base, granted.get(one.ref, ""))
            if "l" in rights:
                name = prefix if one.name == INBOX else f"{prefix}{SEPARATOR}{one.name}"
                found.append(Named(name, one, True, rights))
        return found

    def children(self, place: Place) -> list[Mailbox]:
        """The mailboxes below a place."""
        prefix = place.name + SEPARATOR
        return [one for one in self._store.mailboxes(place.owner.ref) if one.name.startswith(prefix)]


def require(place: Place, right: str) -> None:
    """Raise `No` [NOPERM] unless the session has every letter of ``right`` there."""
    if any(one not in place.rights for one in right):
        raise NotAllowed(right)


class NotAllowed(No):
    """The mailbox may be seen, but not this."""

    def __init__(self, right: str) -> None:
        super().__init__(
            "NOPERM",
            f"Bạn không có quyền này ({right}) với hộp thư. Hãy nhờ chủ hộp thư cấp quyền.",
            f"You have no such right ({right}) in this mailbox. Ask its owner for it.",
        )


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
    if levels[0].casefold() in (SHARED.casefold(), USERS.casefold()) and len(levels) < 3:
        raise No(
            "CANNOT",
            f"Tên “{levels[0]}” dành cho hộp thư dùng chung.",
            f"The name “{levels[0]}” is kept for shared mailboxes.",
        )
    return clean
