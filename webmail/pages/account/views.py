# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in, signing out, and the page about oneself."""

from __future__ import annotations

import json

from flask import Blueprint, g, jsonify, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused, Unavailable
from mailserver.accounts import Account, page_sessions
from mailserver.accounts import passkeys as kept_passkeys
from webmail import frame, navigation, sessions, toast
from webmail.errors import status_of
from webmail.frame import open_to_all, page
from webmail.language import current, t
from webmail.pages.account import forms, passkeys
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
    return page(
        "account/sign_in.html", address="", onward=forms.onward(), error="", host=frame.passkey_host()
    )


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
            host=frame.passkey_host(),
        )
        seconds = getattr(refusal, "seconds", None)
        if seconds is not None:
            answer.headers["Retry-After"] = str(seconds)
        return answer
    if g.account is not None:
        page_sessions.end(accounts, g.session_token)
    answer = make_response(redirect(typed.onward))
    sessions.begin(answer, page_sessions.begin(accounts, who, frame.parts().settings.web.session_hours))
    return answer


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """End the session here and in the database."""
    page_sessions.end(frame.parts().accounts, g.session_token)
    answer = make_response(redirect(url_for("account.sign_in")))
    sessions.end(answer)
    return answer


@blueprint.post("/sign-in/passkey/options")
@open_to_all
def passkey_options() -> AnyResponse:
    """What the browser needs to sign in with a passkey."""
    return jsonify(passkeys.options_to_enter())


@blueprint.post("/sign-in/passkey")
@open_to_all
def enter_by_passkey() -> AnyResponse:
    """Sign in with a passkey."""
    told = request.get_json(silent=True) or {}
    accounts = frame.parts().accounts
    try:
        who = passkeys.enter(json.dumps(told.get("response")))
    except Unavailable:
        raise
    except Refused as refusal:
        words = t("account.passkey-wrong") if refusal.code == "bad-credentials" else refusal.text(current())
        return make_response(jsonify({"text": words}), status_of(refusal))
    answer = make_response(jsonify({"next": forms.onward_to(str(told.get("next", "")))}))
    sessions.begin(answer, page_sessions.begin(accounts, who, frame.parts().settings.web.session_hours))
    return answer


@blueprint.post("/me/passkeys/options")
def new_passkey_options() -> AnyResponse:
    """What the browser needs to make a passkey."""
    told = request.get_json(silent=True) or {}
    try:
        return jsonify(passkeys.options_to_add(str(told.get("code", ""))[:40]))
    except Refused as refusal:
        return make_response(jsonify({"text": refusal.text(current())}), status_of(refusal))


@blueprint.post("/me/passkeys")
def add_passkey() -> AnyResponse:
    """Keep a new passkey, with a code also for signing documents."""
    told = request.get_json(silent=True) or {}
    label = " ".join(str(told.get("label", "")).split())[:60]
    try:
        signs = passkeys.add(json.dumps(told.get("response")), label, str(told.get("code", ""))[:40])
    except Refused as refusal:
        return make_response(jsonify({"text": refusal.text(current())}), status_of(refusal))
    toast.leave("account.passkey-signs" if signs else "account.passkey-added")
    return jsonify({"next": url_for("account.me")})


@blueprint.post("/me/passkeys/<int:number>/remove")
def remove_passkey(number: int) -> AnyResponse:
    """Take a passkey away."""
    kept_passkeys.remove(frame.parts().accounts, frame.account(), number)
    toast.leave("account.passkey-removed")
    return redirect(url_for("account.me"), code=303)


@blueprint.get("/me")
def me() -> AnyResponse:
    """Who one is here, the language, the keys of the keyboard, signing out."""
    who = frame.account()
    known = kept_passkeys.of(frame.parts().accounts, who)
    return page(
        "account/me.html",
        place="me",
        own=may_send_as(who),
        room=frame.parts().store.quota(who.ref),
        passkeys=known,
        host=frame.passkey_host(),
    )
