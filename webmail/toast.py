# SPDX-License-Identifier: AGPL-3.0-or-later
"""The short word after an act, with its undo: kept in a signed cookie until the next page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import session

from webmail.language import t

_KEY = "toast"


@dataclass(frozen=True, slots=True)
class Toast:
    """What to say, and the form that takes it back (``action`` and its hidden fields), if any."""

    text: str
    action: str = ""
    fields: tuple[tuple[str, str], ...] = ()


def leave(key: str, *, undo: str = "", fields: list[tuple[str, str]] | None = None, **values: Any) -> None:
    """Say ``key`` on the next page; ``undo`` is the address its undo posts ``fields`` to."""
    session[_KEY] = {"text": t(key, **values), "undo": undo, "fields": (fields or [])[:120]}


def take() -> Toast | None:
    """The waiting toast; it is shown once."""
    kept = session.pop(_KEY, None)
    if not isinstance(kept, dict):
        return None
    fields = tuple((str(name), str(value)) for name, value in kept.get("fields", ()))
    return Toast(str(kept.get("text", "")), str(kept.get("undo", "")), fields)
