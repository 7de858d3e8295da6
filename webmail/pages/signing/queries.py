# SPDX-License-Identifier: AGPL-3.0-or-later
"""What waits for the signature of who looks, and the pages as they are shown."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.documents import presented as before
from exchange.documents.model import Document, DocumentRef
from exchange.documents.presented import Presented
from exchange.documents.turns import Turn
from mailserver.accounts import Account
from policy.rights import may, relation
from webmail import frame, shown
from webmail.pages.documents.drawn import Kept

_MOST = 200


def signs(account: Account) -> bool:
    """Whether the account may sign or initial documents at all."""
    related = relation(account.agency_code, account.agency_code)
    return may(account.role, "document.sign", related) or may(account.role, "document.initial", related)


def always(account: Account) -> bool:
    """Whether signing is this account's daily work (others see the page when something waits for them)."""
    return may(account.role, "document.sign", relation(account.agency_code, account.agency_code))


def waiting(account: Account) -> list[tuple[Document, Turn]]:
    """Documents that wait for this person's signature or initials, urgent ones first, then the oldest."""
    parts = frame.parts()
    return before.waiting(parts.database, parts.seal, account, _MOST)


def drafters(documents: Iterable[Document]) -> dict[str, str]:
    """The names of who drafted them, by address."""
    accounts = frame.parts().accounts
    return {one: shown.known_name(accounts, one, one) for one in {doc.fields.drafter for doc in documents}}


def refs(account: Account) -> list[DocumentRef]:
    """Which wait, in the same order."""
    parts = frame.parts()
    return before.refs_waiting(parts.database, parts.seal, account, _MOST)


def count(account: Account) -> int:
    """How many wait."""
    parts = frame.parts()
    return before.count_waiting(parts.database, parts.seal, account)


def presented(ref: DocumentRef, *, anew: bool = False) -> Presented:
    """The pages of a document for who looks. Raises `Refused`, `Unavailable`."""
    who = frame.account()
    kept = None if anew else _kept.get((ref, who.address))
    if kept is None:
        kept = before.present(frame.parts().exchange, ref, who)
        _kept.put((ref, who.address), kept)
    return kept


def opened(account: Account, documents: list[Document]) -> set[str]:
    """The ids of those that ``account`` opened and may sign by one PIN."""
    exchange = frame.parts().exchange
    return {one.id for one in documents if before.last_read(exchange, one.ref, account) is not None}


_kept: Kept[Presented] = Kept()
