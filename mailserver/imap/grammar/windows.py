# SPDX-License-Identifier: AGPL-3.0-or-later
"""Windows of results: 1:500 are the first, -1:-100 the last hundred (RFC 9394 §4 ``partial-range``)."""

from __future__ import annotations

from mailserver.imap.grammar.lexer import Cursor, Syntax

_TOP = 2**32 - 1


def parse_window(cursor: Cursor) -> tuple[int, int]:
    """The ends as written, both positive or both negative. Raises `Syntax`."""
    ends = []
    for last in (False, True):
        sign = -1 if cursor.try_byte(b"-") else 1
        ends.append(sign * cursor.number())
        if not last:
            cursor.byte(b":")
    first, final = ends
    if not first or not final or (first < 0) != (final < 0) or max(map(abs, ends)) > _TOP:
        raise Syntax("The PARTIAL range is wrong")
    return first, final


def window(partial: tuple[int, int], count: int) -> slice:
    """Which of ``count`` results it means: ``1:3`` are the first three, ``-1:-3`` the last three (RFC 9394 §3.1)."""
    low, high = sorted(map(abs, partial))
    if partial[0] > 0:
        return slice(low - 1, high)
    return slice(max(0, count - high), max(0, count - low + 1))
