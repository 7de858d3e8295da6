# SPDX-License-Identifier: AGPL-3.0-or-later
"""People and agencies by a few letters of name, title, agency or address; marks need not be typed."""

from __future__ import annotations

from functools import lru_cache

from mailserver.accounts import Account
from mailserver.message import fold
from webmail import frame

_MOST = 8


@lru_cache(maxsize=30_000)
def _folded(text: str) -> str:
    return fold(text)


def matches(typed: str) -> list[Account]:
    """At most eight accounts that hold all words of ``typed``; those that begin with it first."""
    words = fold(typed).split()[:6]
    if not words:
        return []
    whole = " ".join(words)
    found: list[tuple[int, str, Account]] = []
    for one in frame.parts().accounts.all():
        if one.state == "left" or one.role == "service":
            continue
        text = _folded(f"{one.name} {one.title} {one.agency_name} {one.address}")
        if all(word in text for word in words):
            first = _folded(one.name).startswith(whole) or one.address.startswith(whole)
            found.append((0 if first else 1, one.address, one))
    return [one for _, _, one in sorted(found, key=lambda entry: entry[:2])[:_MOST]]
