# SPDX-License-Identifier: AGPL-3.0-or-later
"""Comparing (RFC 5228 §2.7, RFC 5231): comparators, wildcards in linear time, relations; all work is counted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from mailserver.sieve.program import Step

_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = re.compile(r"[0-9]+")
_MOST_WILDCARDS = 32
_RELATIONS: dict[str, Callable[[int], bool]] = {
    "gt": lambda order: order > 0,
    "ge": lambda order: order >= 0,
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
    "eq": lambda order: order == 0,
    "ne": lambda order: order != 0,
}


class TooMuch(Exception):
    """The run is stopped: it costs or does more than one letter may."""


class Work:
    """Characters that may still be looked at."""

    def __init__(self, most: int) -> None:
        self._left = most

    def spend(self, characters: int) -> None:
        """Raises `TooMuch` when all is spent."""
        self._left -= characters + 1
        if self._left < 0:
            raise TooMuch("the script takes too long for one letter")


def matched(step: Step, values: Iterable[str], keys: Sequence[str], work: Work) -> list[str] | None:
    """Whether one of ``values`` matches one of ``keys`` as the tags of ``step`` say.

    The match variables (RFC 5229 §3.2) of the first that does, None when none does.
    """
    comparator = str(step.tags.get("comparator", "i;ascii-casemap"))
    if "count" in step.tags:
        number = str(sum(1 for _ in values))
        relation = _RELATIONS[str(step.tags["count"]).lower()]
        return [number] if any(relation(_order(number, key, "i;ascii-numeric")) for key in keys) else None
    wild = "matches" in step.tags
    inside = "contains" in step.tags
    relation = _RELATIONS[str(step.tags["value"]).lower()] if "value" in step.tags else _RELATIONS["eq"]
    for value in values:
        for key in keys:
            work.spend(len(value) + len(key))
            if wild:
                if comparator == "i;unicode-casemap":  # its folding may change lengths: matched as folded
                    value, key, comparator = _folded(value, comparator), _folded(key, comparator), "i;octet"
                found = _glob(value, key, comparator, work)
                if found is not None:
                    return found
            elif inside:
                if _folded(key, comparator) in _folded(value, comparator):
                    return [value]
            elif relation(_order(value, key, comparator)):
                return [value]
    return None


def _folded(text: str, comparator: str) -> str:
    if comparator == "i;ascii-casemap":
        return text.translate(_UPPER)
    if comparator == "i;unicode-casemap":  # RFC 5051, composed again so that one letter is one character
        return unicodedata.normalize("NFKC", text.upper())
    return text


def _order(value: str, key: str, comparator: str) -> int:
    """-1, 0, 1. With i;ascii-numeric what is no number is infinite (RFC 4790 §9.1)."""
    if comparator == "i;ascii-numeric":
        a, b = _number(value), _number(key)
        if a is None or b is None:
            return (a is None) - (b is None)
        return (a > b) - (a < b)
    left, right = _folded(value, comparator).encode(), _folded(key, comparator).encode()
    return (left > right) - (left < right)


def _number(text: str) -> int | None:
    found = _DIGITS.match(text)
    return int(found[0][:40]) if found else None


def _glob(value: str, pattern: str, comparator: str, work: Work) -> list[str] | None:
    """``*`` and ``?``: the pieces between stars are looked for from the left, the last one at the end."""
    pieces = _pieces(pattern, comparator)
    if len(pieces) > _MOST_WILDCARDS:
        raise TooMuch("too many wildcards in one pattern")
    work.spend(len(value) * len(pieces))
    where = _folded(value, comparator)
    groups: list[str] = []
    position = 0
    for number, (piece, length) in enumerate(pieces):
        last = number == len(pieces) - 1
        if number == 0:
            found = piece.fullmatch(where) if last else piece.match(where)
        elif last:
            start = len(where) - length
            found = piece.fullmatch(where, start) if start >= position else None
        else:
            found = piece.search(where, position)
        if found is None:
            return None
        if number:
            groups.append(value[position : found.start()])
        groups += [value[slice(*found.span(one))] for one in range(1, piece.groups + 1)]
        position = found.end()
    return [value, *groups]


def _pieces(pattern: str, comparator: str) -> list[tuple[re.Pattern[str], int]]:
    """The pieces between stars, each with the number of characters it matches."""
    found: list[list[str]] = [[]]
    characters = iter(pattern)
    for one in characters:
        if one == "*":
            found.append([])
        elif one == "?":
            found[-1].append("(.)")
        elif one == "\\":
            found[-1].append(re.escape(_folded(next(characters, "\\"), comparator)))
        else:
            found[-1].append(re.escape(_folded(one, comparator)))
    return [(re.compile("".join(one), re.DOTALL), len(one)) for one in found]
