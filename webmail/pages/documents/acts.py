# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which act stands next on a document for who looks at it, and carrying it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exchange.documents import files, give_back, records, turns, void, walk
from exchange.documents.approve import approve, complete
from exchange.documents.model import Document
from exchange.exchange import Exchange
from exchange.receiving import accepting
from mailserver.accounts import Account
from policy.rights import Act, may, relation
from webmail import frame
from webmail.errors import NotThere

ACTS = ("accept", "refuse", "approve", "seal", "go-on", "submit-again", "give-back", "void")
REASONED = ("refuse", "give-back", "void")

_FROM: dict[str, tuple[Act, tuple[str, ...]]] = {
    "accept": ("document.accept", ("arrived", "held")),
    "refuse": ("document.refuse", ("arrived", "held")),
    "go-on": ("document.issue", ("approved", "signing", "signed", "numbered", "sealed")),
    "void": ("document.number", ("numbered", "sealing", "sealed")),
}
"""Act of an agency's people → the right it needs, the states it starts in."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The acts that a page offers; ``first`` is its one filled button ("" when nothing waits)."""

    first: str
    others: tuple[str, ...]


def offered(document: Document) -> Offered:
    """What the person may do next with the document."""
    who = frame.account()
    found = [do for do in ACTS if _may(who, document, do)]
    if document.direction == "incoming" and not document.wrapped_key:
        found = [do for do in found if do != "accept"]
    first = found[0] if found and found[0] not in REASONED else ""
    return Offered(first, tuple(do for do in found if do != first))


def carry_out(document: Document, do: str, reason: str, pdf: bytes = b"") -> None:
    """Do it. Raises `NotThere` for an act that is not this person's, `Refused` (somebody was faster), `Unavailable`.

    ``pdf``: the corrected draft of one that is submitted again.
    """
    who, exchange = frame.account(), frame.parts().exchange
    if not (_may(who, document, do) or _was_theirs(who, document, do)):
        raise NotThere
    if do == "submit-again":
        give_back.submit_again(exchange, document.ref, who, pdf)
    else:
        _DO[do](exchange, document, who, reason)


def sealing_passkey(document: Document) -> bool:
    """Whether who looks is the clerk whose passkey the seal waits for."""
    exchange, who = frame.parts().exchange, frame.account()
    code = who.agency_code if document.state == "sealing" else document.fields.organ_code
    if exchange.approval_of_seal(code or "") != "passkey":
        return False
    return _seals(who, document) or (document.state == "numbered" and _may(who, document, "go-on"))


def _may(who: Account, document: Document, do: str) -> bool:
    if do == "approve":
        return _approves(who, document)
    if do == "seal":
        return _seals(who, document)
    if do == "give-back":
        return give_back.may_give_back(document, who)
    if do == "submit-again":
        return give_back.may_submit_again(document, who)
    if do == "go-on" and document.state == "signing" and not _all_approved(document):
        return False
    return document.state in _FROM[do][1] and _has_right(who, document, do)


def _was_theirs(who: Account, document: Document, do: str) -> bool:
    """An act that somebody was faster with: it is refused with words."""
    fields = document.fields
    if do in ("approve", "give-back"):
        return who.address in (*fields.initials, fields.signer, *fields.co_signers)
    if do == "seal":
        return (who.agency_code or "") in fields.joint_codes
    return do in _FROM and _has_right(who, document, do)


def _has_right(who: Account, document: Document, do: str) -> bool:
    home = frame.parts().accounts.agency_number(document.ref.agency)
    if (do in ("accept", "refuse")) != (document.direction == "incoming"):
        return False
    return may(who.role, _FROM[do][0], relation(who.agency_code, home.code if home else None))


def _approves(who: Account, document: Document) -> bool:
    """By file approval: named in a draft, and has not said yes to this text yet."""
    parts, fields = frame.parts(), document.fields
    named = (*fields.initials, fields.signer, *fields.co_signers)
    if document.direction != "outgoing" or document.state != "drafted" or who.address not in named:
        return False
    if parts.exchange.approval_of_person(who.address) != "file":
        return False
    with parts.database.reading() as conn:
        draft = files.newest(conn, parts.seal, document.ref, "draft")
        said = records.approvals(conn, parts.seal, document.ref)
    return not any(one.by == who.address and one.digest == draft.sha256 for one in said)


def _seals(who: Account, document: Document) -> bool:
    """The clerk of the agency whose joint seal comes next."""
    if document.state != "sealing":
        return False
    with frame.parts().database.reading() as conn:
        turn = turns.next_of(turns.listing(conn, document))
    return turn is not None and may(who.role, "document.issue", relation(who.agency_code, turn.code))


def _all_approved(document: Document) -> bool:
    """Whether the signatures that are missing were all approved (an interrupted walk by file approval)."""
    parts = frame.parts()
    with parts.database.reading() as conn:
        draft = files.newest(conn, parts.seal, document.ref, "draft")
        return complete(conn, parts.exchange, document, draft.sha256)


def _accept(exchange: Exchange, document: Document, who: Account, reason: str) -> None:
    accepting.accept(exchange, document.ref, who, reason)


def _refuse(exchange: Exchange, document: Document, who: Account, reason: str) -> None:
    accepting.refuse(exchange, document.ref, who, reason)


def _approve(exchange: Exchange, document: Document, who: Account, _: str) -> None:
    approve(exchange, document.ref, who, who)


def _go_on(exchange: Exchange, document: Document, who: Account, _: str) -> None:
    walk.go_on(exchange, document.ref, who)


def _seal(exchange: Exchange, document: Document, who: Account, _: str) -> None:
    walk.seal(exchange, document.ref, who)


def _give_back(exchange: Exchange, document: Document, who: Account, reason: str) -> None:
    give_back.give_back(exchange, document.ref, who, reason)


def _void(exchange: Exchange, document: Document, who: Account, reason: str) -> None:
    void.void(exchange, document.ref, who, reason)


_DO: dict[str, Callable[[Exchange, Document, Account, str], None]] = {
    "accept": _accept,
    "refuse": _refuse,
    "approve": _approve,
    "go-on": _go_on,
    "seal": _seal,
    "give-back": _give_back,
    "void": _void,
}
