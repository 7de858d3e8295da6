# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which act stands next on a document for who looks at it, and carrying it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exchange.documents import void, walk
from exchange.documents.approve import approve
from exchange.documents.model import Document
from exchange.exchange import Exchange
from exchange.receiving import accepting
from mailserver.accounts import Account
from policy.rights import Act, may, relation
from webmail import frame
from webmail.errors import NotThere

ACTS = ("accept", "refuse", "approve", "go-on", "void")
REASONED = ("refuse", "void")

_FROM: dict[str, tuple[Act, tuple[str, ...], bool]] = {
    "accept": ("document.accept", ("arrived", "held"), False),
    "refuse": ("document.refuse", ("arrived", "held"), False),
    "approve": ("document.approve", ("drafted",), True),
    "go-on": ("document.issue", ("approved", "signed", "numbered", "sealed"), False),
    "void": ("document.number", ("numbered", "sealed"), False),
}
"""Act → the right it needs, the states it starts in, whether only the named signer does it."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The acts that a page offers; ``first`` is its one filled button ("" when nothing waits)."""

    first: str
    others: tuple[str, ...]


def offered(document: Document) -> Offered:
    """What the person may do next with the document."""
    who = frame.account()
    found = [do for do in ACTS if document.state in _FROM[do][1] and _may(who, document, do)]
    if document.direction == "incoming" and not document.wrapped_key:
        found = [do for do in found if do != "accept"]
    first = found[0] if found and found[0] not in REASONED else ""
    return Offered(first, tuple(do for do in found if do != first))


def carry_out(document: Document, do: str, reason: str) -> None:
    """Do it. Raises `NotThere` for an act that is not this person's, `Refused` (somebody was faster), `Unavailable`."""
    who = frame.account()
    if not _may(who, document, do):
        raise NotThere
    _DO[do](frame.parts().exchange, document, who, reason)


def _may(who: Account, document: Document, do: str) -> bool:
    right, _, by_signer = _FROM[do]
    home = frame.parts().accounts.agency_number(document.ref.agency)
    own = by_signer and who.address == document.fields.signer
    if (by_signer and not own) or (do in ("accept", "refuse")) != (document.direction == "incoming"):
        return False
    return may(who.role, right, relation(who.agency_code, home.code if home else None, own=own))


def _accept(exchange: Exchange, document: Document, who: Account, reason: str) -> None:
    accepting.accept(exchange, document.ref, who, reason)


def _refuse(exchange: Exchange, document: Document, who: Account, reason: str) -> None:
    accepting.refuse(exchange, document.ref, who, reason)


def _approve(exchange: Exchange, document: Document, who: Account, _: str) -> None:
    approve(exchange, document.ref, who, who)


def _go_on(exchange: Exchange, document: Document, who: Account, _: str) -> None:
    walk.go_on(exchange, document.ref, who)


def _void(exchange: Exchange, document: Document, who: Account, reason: str) -> None:
    void.void(exchange, document.ref, who, reason)


_DO: dict[str, Callable[[Exchange, Document, Account, str], None]] = {
    "accept": _accept,
    "refuse": _refuse,
    "approve": _approve,
    "go-on": _go_on,
    "void": _void,
}
