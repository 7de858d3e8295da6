# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in, signing out, and the page about oneself."""

from __future__ import annotations

from flask import Blueprint, g, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused, Unavailable
from mailserver.accounts import Account
from webmail import frame, navigation, sessions
from webmail.errors import status_of
from webmail.frame import open_to_all, page
from webmail.language import current, t
from webmail.pages.account import forms
from webmail.pages.mail.queries import may_send_as

blueprint = Blueprint("account", __name__)


def section(_: Account) -> navigation.Section:
    """Oneself in the navigation."""
    return navigation.Section("me", url_for("account.me"), t("nav.me"), "user")


navigation.add(90, section)


@blueprint.get("/sign-in")
@open_to_all
def sign_in() -> AnyResponse:
    """The door."""
    if g.account is not None and "lang" not in request.args:
        return redirect(forms.onward())
    return page("account/sign_in.html", address="", onward=forms.onward(), error="")


@blueprint.post("/sign-in")
@open_to_all
def enter() -> AnyResponse:
    """Check address and password; the words of a refusal stand beside the field."""
    typed = forms.sign_in()
    accounts = frame.parts().accounts
    try:
        who = accounts.authenticate("web", typed.address, typed.password, request.remote_addr or "")
    except Unavailable:
        raise
    except Refused as refusal:
        words = t("account.wrong") if refusal.code == "bad-credentials" else refusal.text(current())
        answer = page(
            "account/sign_in.html",
            status=status_of(refusal),
            address=typed.address,
            onward=typed.onward,
            error=words,
        )
        seconds = getattr(refusal, "seconds", None)
        if seconds is not None:
            answer.headers["Retry-After"] = str(seconds)
        return answer
    if g.account is not None:
        accounts.close_session(g.session_token)
    answer = make_response(redirect(typed.onward))
    sessions.begin(answer, accounts.open_session(who, frame.parts().settings.web.session_hours))
    return answer


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """End the session here and in the database."""
    frame.parts().accounts.close_session(g.session_token)
    answer = make_response(redirect(url_for("account.sign_in")))
    sessions.end(answer)
    return answer


@blueprint.get("/me")
def me() -> AnyResponse:
    """Who one is here, the language, the keys of the keyboard, signing out."""
    return page("account/me.html", place="me", own=may_send_as(frame.account()))
