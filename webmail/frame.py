# SPDX-License-Identifier: AGPL-3.0-or-later
"""What every view uses: the installation's parts, who signed in, waiting for async work, rendering a page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Response, current_app, g, make_response, render_template

from config.refusal import Refused
from mailserver.accounts import Account
from webmail.bridge import Bridge
from webmail.parts import Parts

T = TypeVar("T")
View = TypeVar("View", bound=Callable[..., Any])
_KEY = "congvan"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""What a page may load and do."""


class NotSignedIn(Refused):
    """The page needs a signed-in person."""

    def __init__(self) -> None:
        super().__init__(
            "not-signed-in",
            "Phiên đã hết. Đăng nhập lại để tiếp tục.",
            "The session has ended. Sign in again.",
        )


@dataclass(frozen=True, slots=True)
class Web:
    """One running web role."""

    parts: Parts
    bridge: Bridge


def attach(extensions: dict[str, Any], web: Web) -> None:
    """Give an application its installation."""
    extensions[_KEY] = web


def parts() -> Parts:
    """The installation's parts."""
    return cast(Web, current_app.extensions[_KEY]).parts


def wait(work: Coroutine[Any, Any, T]) -> T:
    """The result of an async store or delivery method."""
    return cast(Web, current_app.extensions[_KEY]).bridge.wait(work)


def account() -> Account:
    """Who signed in. Raises `NotSignedIn`."""
    found: Account | None = g.get("account")
    if found is None:
        raise NotSignedIn
    return found


def open_to_all(view: View) -> View:
    """Mark a view that needs no sign-in."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def is_open(view: Callable[..., Any] | None) -> bool:
    """Whether `open_to_all` marked it."""
    return bool(getattr(view, "open_to_all", False))


def page(template: str, *, place: str = "", status: int = 200, **values: Any) -> Response:
    """Render a page; ``place`` (``mail.inbox``) is where the navigation shows the person to be."""
    return make_response(render_template(template, place=place, **values), status)


def passkey_host() -> str:
    """Where passkeys work: the address of the pages on their own host."""
    settings = parts().settings
    return f"https://{settings.passkey_host}:{settings.listen.web.rpartition(':')[2]}"
