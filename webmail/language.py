# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which language a request is answered in: the person's own choice, else Accept-Language, else Vietnamese."""

from __future__ import annotations

from flask import g, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from webmail.catalogue import LANGUAGES, Language, say

COOKIE = "congvan-language"


def chosen(cookie: str | None, accepted: str) -> Language:
    """The language for a cookie's value and an Accept-Language header."""
    for one in LANGUAGES:
        if cookie == one:
            return one
    best = parse_accept_header(accepted, LanguageAccept).best_match(LANGUAGES, default="vi")
    return "en" if best == "en" else "vi"


def current() -> Language:
    """The language of this request."""
    known: Language | None = g.get("language")
    if known is None:
        asked = request.args.get("lang") or request.cookies.get(COOKIE)
        known = g.language = chosen(asked, request.headers.get("Accept-Language", ""))
    return known


def t(key: str, **values: object) -> str:
    """The words of ``key`` in the language of this request."""
    return say(current(), key, **values)
