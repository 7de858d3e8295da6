# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cookies of the sign-in and the token that each form carries against forged requests (CSRF)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, g, request

from config.refusal import Refused
from mailserver.accounts import page_sessions
from webmail import frame

SESSION_COOKIE = "__Host-congvan"
_DOOR_COOKIE = "__Host-congvan-door"
FIELD = "token"
View = TypeVar("View", bound=Callable[..., Any])


class ForgedForm(Refused):
    """The form was not one of ours, or an old one."""

    def __init__(self) -> None:
        super().__init__(
            "stale-form",
            "Trang này đã cũ nên chưa làm gì cả. Tải lại trang rồi thử lại.",
            "This page is out of date, so nothing was done. Reload it and try again.",
        )


def recognise() -> None:
    """Find out who asks: fills ``g.account`` (None when nobody is signed in)."""
    token = request.cookies.get(SESSION_COOKIE)
    g.session_token = token
    g.account = page_sessions.holder(frame.parts().accounts, token) if token else None


def form_token() -> str:
    """The token for the forms of this request's session (of the door, before signing in)."""
    if g.get("account") is not None:
        return _digest("form", g.session_token)
    door = request.cookies.get(_DOOR_COOKIE) or g.get("new_door")
    if not door:
        door = g.new_door = secrets.token_urlsafe(24)
    return _digest("door", door)


def check_form() -> None:
    """Raises `ForgedForm` unless the request comes from one of our own forms."""
    site = request.headers.get("Sec-Fetch-Site")
    if site not in (None, "same-origin", "none"):
        raise ForgedForm
    given = request.form.get(FIELD) or request.headers.get("X-Form-Token") or ""
    if not hmac.compare_digest(given.encode(), form_token().encode()):
        raise ForgedForm


def not_a_form(view: View) -> View:
    """Mark a view that programs post to: it changes nothing and answers nothing secret."""
    view.not_a_form = True  # type: ignore[attr-defined]
    return view


def is_a_form(view: Callable[..., Any] | None) -> bool:
    """Whether a post to ``view`` must carry the form's token: all but what `not_a_form` marked."""
    return not getattr(view, "not_a_form", False)


def keep_door(answer: Response) -> None:
    """Set the door's cookie when this request made one."""
    made = g.get("new_door")
    if made:
        _set(answer, _DOOR_COOKIE, made)


def begin(answer: Response, token: str) -> None:
    """Give the browser its session."""
    _set(answer, SESSION_COOKIE, token)
    answer.delete_cookie(_DOOR_COOKIE, path="/", secure=True, httponly=True, samesite="Lax")


def end(answer: Response) -> None:
    """Take the session away from the browser."""
    answer.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="Lax")


def _set(answer: Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="Lax")


def _digest(purpose: str, value: str) -> str:
    return frame.parts().seal.digest(f"web-{purpose}", value.encode()).hex()
