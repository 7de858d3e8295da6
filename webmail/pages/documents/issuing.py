# SPDX-License-Identifier: AGPL-3.0-or-later
"""Issuing from a page: the clerk all the way to “sent”, anybody else who drafts up to a draft for the leader."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from exchange.documents import draft, kinds, walk
from exchange.documents.draft import DraftRequest
from mailserver.accounts import Account, Agency
from mailserver.message import fold_line
from policy.rights import may, relation
from webmail import frame
from webmail.pages.documents import forms, queries
from webmail.pages.documents.forms import Issuing
from webmail.pages.documents.once import Once

_ONCE = "congvan-issuing"
_SIGNING = ("civil-servant", "clerk", "leader")
_MOST_OFFERED = 300


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form offers. ``agencies``: (agency, ticked, hidden by the filter)."""

    home: Agency
    kinds: list[str]
    signers: list[Account]
    agencies: list[tuple[Agency, bool, bool]]
    shown: int
    initialling: list[Account]
    others: list[Account]
    "Who may initial here, and leaders anywhere who may sign with others: those that have a key."


def choices(form: Issuing) -> Choices:
    """Kinds, leaders and agencies for the form as it stands."""
    home = queries.home()
    accounts = frame.parts().accounts
    words = fold_line(form.filter).split()
    lines = []
    for one in sorted(accounts.agencies(), key=lambda agency: (agency.level, agency.code)):
        if one.closed_us is not None or one.code == home.code:
            continue
        text = fold_line(f"{one.name} {one.short} {one.code}")
        ticked = one.code in form.to
        lines.append((one, ticked, not ticked and not all(word in text for word in words)))
    leaders = [one for one in accounts.members(home.code, "leader") if one.state == "active"]
    return Choices(
        home,
        [kinds.plain_name(one) for one in kinds.kinds()],
        leaders,
        lines,
        sum(not hidden for _, _, hidden in lines),
        _with_key(accounts.members(home.code)),
        _with_key([one for one in accounts.all() if one.role == "leader"]),
    )


def _with_key(people: list[Account]) -> list[Account]:
    trust = frame.parts().exchange.trust
    found = [one for one in people if one.state == "active" and one.role in _SIGNING]
    return [one for one in found if trust.certificate_of_person(one.address) is not None][:_MOST_OFFERED]


def issues(account: Account) -> bool:
    """Whether the account takes numbers and seals (the clerk)."""
    return may(account.role, "document.issue", relation(account.agency_code, account.agency_code))


def drafts(account: Account) -> bool:
    """Whether the account may bring a draft."""
    return may(account.role, "document.draft", relation(account.agency_code, account.agency_code))


def carry_out(form: Issuing) -> str:
    """Issue it (the clerk) or store it as a draft; gives the document's id.

    The same form pressed twice gives one document. Raises `Refused`, `Unavailable`.
    """
    who = frame.account()
    once: Once = current_app.extensions.setdefault(_ONCE, Once())
    return once.do(f"{who.address} {form.mark}", lambda: _act(form, who))


def left_behind(since_us: int) -> str:
    """The id of the document that a failed act of this person left midway (or void); "" when nothing was stored."""
    who, home = frame.account(), queries.home()
    newest = queries.listing(home, "outgoing", "all", 1).documents
    mine = [one for one in newest if one.created_us >= since_us and one.fields.drafter == who.address]
    return max(mine, key=lambda one: one.created_us).id if mine else ""


def _act(form: Issuing, who: Account) -> str:
    exchange = frame.parts().exchange
    home = queries.home()
    signer = exchange.person(form.signer, home, "leader")
    to = [exchange.agency(code) for code in form.to]
    pdf, name = forms.paper(form, home, signer, to)
    name = name or "van-ban.pdf"
    initials, co_signers = forms.addresses(form.initials), forms.addresses(form.co_signers)
    if issues(who) and not form.draft_only:
        answer = walk.issue_from_pdf(
            exchange,
            pdf,
            agency=home.code,
            to=list(form.to),
            kind=form.kind,
            subject=form.subject,
            signer=signer.address,
            clerk=who.address,
            unit=form.unit,
            file_name=name,
            initials=initials,
            co_signers=co_signers,
            annexes=form.annexes,
        )
        return str(answer["id"])
    request = DraftRequest(
        home.code,
        form.to,
        form.kind,
        form.subject,
        signer.address,
        who.address,
        unit=form.unit,
        file_name=name,
        initials=initials,
        co_signers=co_signers,
        annexes=form.annexes,
    )
    return draft.create(exchange, request, pdf).ref.id
