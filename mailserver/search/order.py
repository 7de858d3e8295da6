# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sorted order of messages (RFC 5256 §3, RFC 5957). Pure functions of columns by position."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_NUMBERS = {"ARRIVAL": "arrival", "DATE": "date", "SIZE": "size"}
_TEXTS = {
    "SUBJECT": "base",
    "FROM": "by-from",
    "TO": "by-to",
    "CC": "by-cc",
    "DISPLAYFROM": "as-from",
    "DISPLAYTO": "as-to",
}


def kinds(criteria: Sequence[tuple[str, bool]]) -> set[str]:
    """The columns that ``criteria`` look at; "" stands for what no column tells."""
    return {_NUMBERS.get(name) or _TEXTS.get(name, "") for name, _ in criteria}


def sort(
    positions: Sequence[int],
    criteria: Sequence[tuple[str, bool]],
    numbers: Callable[[str], Sequence[int]],
    texts: Callable[[str], Sequence[bytes]],
    relevancy: Callable[[int], int],
) -> list[int]:
    """The positions by ``criteria``, (name, reversed) pairs, the most important first; equal ones by position.

    ``numbers`` and ``texts`` give columns by position; ``relevancy`` is asked for RELEVANCY (RFC 6203 §5: best first).
    """
    found = list(positions)
    for name, turned in reversed(criteria):
        if name == "RELEVANCY":
            scores = {at: -relevancy(at) for at in found}
            found.sort(key=scores.__getitem__, reverse=turned)
        elif name in _NUMBERS:
            found.sort(key=numbers(_NUMBERS[name]).__getitem__, reverse=turned)
        else:
            found.sort(key=texts(_TEXTS[name]).__getitem__, reverse=turned)
    return found
