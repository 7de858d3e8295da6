# SPDX-License-Identifier: AGPL-3.0-or-later
"""The page of rules (written as Sieve) and the page of an absence (answer with an end, deputy with an end)."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import sqlalchemy as sa
from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.clock import VIETNAM, from_datetime, now_us
from config.refusal import Refused, Unavailable
from mailserver.accounts import delegations
from mailserver.accounts.delegations import Delegation
from mailserver.sieve import scripts, writing
from mailserver.sieve.writing import Away, Rule
from webmail import frame, toast
from webmail.errors import status_of
from webmail.frame import page
from webmail.language import current
from webmail.pages.filters import forms
from webmail.pages.mail.queries import places

blueprint = Blueprint("filters", __name__)


@blueprint.get("/me/filters")
def show() -> AnyResponse:
    """The rules, in order, and the form for one more."""
    return _rules_page()


@blueprint.post("/me/filters")
def add() -> AnyResponse:
    """One more rule at the end."""
    rules, away, _ = _kept()
    try:
        made = forms.rule()
        _write([*rules, made], away)
    except Unavailable:
        raise
    except Refused as refusal:
        return _rules_page(refusal, status=max(422, status_of(refusal)))
    toast.leave("filters.added")
    return redirect(url_for("filters.show"))


@blueprint.post("/me/filters/remove")
def remove() -> AnyResponse:
    """Take a rule away."""
    rules, away, _ = _kept()
    position = forms.position(len(rules))
    _write(rules[:position] + rules[position + 1 :], away)
    toast.leave("filters.removed")
    return redirect(url_for("filters.show"))


@blueprint.get("/me/away")
def absence() -> AnyResponse:
    """The absence that is set, or the form for one."""
    return _away_page()


@blueprint.post("/me/away")
def leave() -> AnyResponse:
    """Set an absence in place of the one before."""
    account, parts = frame.account(), frame.parts()
    rules, _, _ = _kept()
    try:
        said = forms.absence()
        _end_delegations()
        if said.deputy is not None:
            deputy = said.deputy
            first = max(now_us() - 1, _midnight(said.away, 0))
            until = _midnight(said.away, 1)

            def job(conn: sa.Connection) -> int:
                return delegations.add(
                    conn,
                    parts.seal,
                    account,
                    deputy,
                    account.address,
                    reads=True,
                    sends="",
                    from_us=first,
                    until_us=until,
                )

            frame.wait(parts.database.commit(job))
            parts.accounts.forget()
        _write(rules, said.away if said.answers else None)
    except Unavailable:
        raise
    except Refused as refusal:
        return _away_page(refusal, status=max(422, status_of(refusal)))
    toast.leave("away.set")
    return redirect(url_for("filters.absence"))


@blueprint.post("/me/away/end")
def back() -> AnyResponse:
    """The absence is over: no answers, no deputy."""
    rules, _, _ = _kept()
    _end_delegations()
    _write(rules, None)
    toast.leave("away.ended")
    return redirect(url_for("filters.absence"))


def _kept() -> tuple[list[Rule], Away | None, bool]:
    """Rules and answer of the pages' script; True when another script is active (written elsewhere)."""
    parts, account = frame.parts(), frame.account()
    with parts.database.reading() as conn:
        found = scripts.of_account(conn, parts.seal, account.ref)
    foreign = any(one.active and one.name != writing.NAME for one in found)
    own = next((writing.read(one.text) for one in found if one.name == writing.NAME), None)
    rules, away = own if own is not None else ([], None)
    return rules, away, foreign


def _write(rules: list[Rule], away: Away | None) -> None:
    parts, account = frame.parts(), frame.account()

    def job(conn: sa.Connection) -> None:
        if rules or away is not None:
            text = writing.written(rules, away)
            scripts.put(conn, parts.seal, account.ref, writing.NAME, text, active=True, by=account.address)
        else:
            scripts.remove(conn, parts.seal, account.ref, writing.NAME, account.address)

    frame.wait(parts.database.commit(job))


def _own_delegations() -> list[Delegation]:
    account = frame.account()
    now = now_us()
    return [
        one
        for one in frame.parts().accounts.delegations()
        if one.owner == account.ref and one.reads and (one.until_us is None or one.until_us > now)
    ]


def _end_delegations() -> None:
    parts, account = frame.parts(), frame.account()
    for one in _own_delegations():
        number = one.number
        frame.wait(
            parts.database.commit(
                lambda conn, n=number: delegations.remove(conn, parts.seal, account, n, account.address)  # type: ignore[misc]
            )
        )
    parts.accounts.forget()


def _midnight(away: Away, days_after: int) -> int:
    day = away.last + timedelta(days=1) if days_after else away.first
    return from_datetime(datetime.combine(day, time(), VIETNAM))


def _rules_page(refusal: Refused | None = None, status: int = 200) -> AnyResponse:
    rules, _, foreign = _kept()
    folders = [
        one.box.name for one in places() if not one.shared and one.kind in ("", "archive", "trash", "junk")
    ]
    return page(
        "filters/filters.html",
        place="me.filters",
        status=status,
        rules=rules,
        foreign=foreign,
        folders=folders,
        typed=request.form,
        error=refusal.text(current()) if refusal is not None else "",
    )


def _away_page(refusal: Refused | None = None, status: int = 200) -> AnyResponse:
    _, away, _ = _kept()
    accounts = frame.parts().accounts
    deputies = [(accounts.by_ref(one.deputy), one) for one in _own_delegations()]
    return page(
        "filters/away.html",
        place="me.away",
        status=status,
        away=away,
        deputies=[(who, one) for who, one in deputies if who is not None],
        typed=request.form,
        error=refusal.text(current()) if refusal is not None else "",
    )
