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


class Count(int):
    """A number that chooses a word: ``{n:page,pages}`` (English; Vietnamese needs none)."""

    def __format__(self, spec: str) -> str:
        one, comma, more = spec.partition(",")
        return super().__format__(spec) if not comma else one if self == 1 else more


class _Many(str):
    """What is written in a number's place (``50+``) and goes with the word for several."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return spec.partition(",")[2] if "," in spec else super().__format__(spec)


def say(language: Language, key: str, **values: object) -> str:
    """The words of ``key`` in ``language`` with ``values`` filled in. Raises KeyError for an unknown key.

    ``{n:page,pages}`` stands for the word that goes with the number ``n``.
    """
    text = entries()[key][0 if language == "vi" else 1]
    return text.format_map({name: _counted(value) for name, value in values.items()}) if values else text


def _counted(value: object) -> object:
    if type(value) is int:
        return Count(value)
    return _Many(value) if isinstance(value, str) else value
