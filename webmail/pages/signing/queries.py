# SPDX-License-Identifier: AGPL-3.0-or-later
"""What waits for the signature of who looks, and the pages as they are shown."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from exchange.documents import phone
from exchange.documents.model import Document, DocumentRef
from exchange.documents.phone import Presented
from exchange.documents.turns import Turn
from mailserver.accounts import Account
from policy.rights import may, relation
from webmail import frame

_MOST = 200
_KEPT, _KEPT_S = 12, 900.0


def signs(account: Account) -> bool:
    """Whether the account may sign or initial documents at all."""
    related = relation(account.agency_code, account.agency_code)
    return may(account.role, "document.sign", related) or may(account.role, "document.initial", related)


def always(account: Account) -> bool:
    """Whether signing is this account's daily work (others see the page when something waits for them)."""
    return may(account.role, "document.sign", relation(account.agency_code, account.agency_code))


def waiting(account: Account) -> list[tuple[Document, Turn]]:
    """Documents that wait for this person's signature or initials, urgent ones first, then the oldest."""
    return phone.waiting(frame.parts().exchange, account, _MOST)


def presented(ref: DocumentRef, *, anew: bool = False) -> Presented:
    """The pages of a document for who looks. Raises `Refused`, `Unavailable`."""
    who = frame.account()
    kept = None if anew else _kept.get((ref, who.address))
    if kept is None:
        kept = phone.present(frame.parts().exchange, ref, who)
        _kept.put((ref, who.address), kept)
    return kept


class _Kept:
    """The pages shown last, so that each page's picture is not drawn again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._by_key: OrderedDict[tuple[DocumentRef, str], tuple[float, Presented]] = OrderedDict()

    def get(self, key: tuple[DocumentRef, str]) -> Presented | None:
        with self._guard:
            found = self._by_key.get(key)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def put(self, key: tuple[DocumentRef, str], value: Presented) -> None:
        with self._guard:
            self._by_key[key] = (time.monotonic() + _KEPT_S, value)
            self._by_key.move_to_end(key)
            while len(self._by_key) > _KEPT:
                self._by_key.popitem(last=False)


_kept = _Kept()
