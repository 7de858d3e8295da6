# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sign-in form's fields as values."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request


@dataclass(frozen=True, slots=True)
class SignIn:
    """Address and password as typed, and the page to go on to (a path of ours)."""

    address: str
    password: str
    onward: str


def sign_in() -> SignIn:
    """The fields of this request."""
    return SignIn(
        request.form.get("address", "").strip()[:254], request.form.get("password", "")[:1024], onward()
    )


def onward() -> str:
    """Where to go after signing in: a path on this server, else the inbox."""
    return onward_to(request.values.get("next", ""))


def onward_to(wanted: str) -> str:
    """``wanted`` when it is a path on this server, else the inbox."""
    plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    return wanted if plain and wanted.startswith("/") and not wanted.startswith("//") else "/mail/inbox"
