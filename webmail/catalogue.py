# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every word the pages say, in one file: ``catalogue.toml``, ``section.name = ["vi", "en"]``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["vi", "en"]
LANGUAGES: tuple[Language, Language] = ("vi", "en")


@cache
def entries() -> dict[str, tuple[str, str]]:
    """All entries by ``section.name``. Raises ValueError for one that is not a pair of texts."""
    raw = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8"))
    found: dict[str, tuple[str, str]] = {}
    for section, table in raw.items():
        for name, pair in table.items():
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)):
                raise ValueError(f"{section}.{name} is not a pair of texts")
            found[f"{section}.{name}"] = (pair[0], pair[1])
    return found


def say(language: Language, key: str, **values: object) -> str:
    """The words of ``key`` in ``language`` with ``values`` filled in. Raises KeyError for an unknown key."""
    text = entries()[key][0 if language == "vi" else 1]
    return text.format_map(values) if values else text
