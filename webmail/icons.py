# SPDX-License-Identifier: AGPL-3.0-or-later
"""The line icons, put into a page once each: only those it uses."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from flask import g
from markupsafe import Markup

_SYMBOL = re.compile(r'<symbol id="i-([a-z0-9]+)".*?</symbol>')


@cache
def _symbols() -> dict[str, str]:
    source = Path(__file__).with_name("static").joinpath("icons.svg").read_text(encoding="ascii")
    return {found[1]: found[0] for found in _SYMBOL.finditer(source)}


def icon(name: str) -> Markup:
    """An icon beside a word. Raises KeyError for one that does not exist."""
    used: dict[str, str] = g.setdefault("icons", {})
    used[name] = _symbols()[name]
    return Markup('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>').format(name)


def sheet() -> Markup:
    """The symbols of the icons this page used; the last thing in it."""
    used: dict[str, str] = g.get("icons", {})
    return Markup(
        '<svg width="0" height="0" class="sr" aria-hidden="true" focusable="false">{}</svg>'
    ).format(Markup("".join(used[name] for name in sorted(used))))  # noqa: S704 - our own file
