# SPDX-License-Identifier: AGPL-3.0-or-later
"""Folded text → what is indexed of it; a searched text → what every message that holds it must have.

Words of language go into the dictionary. What nobody would look up as a word (long tokens, ids, base64) would make it
grow without end: of such a token only its runs of three letters are indexed, as one of 65,536 numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from mailserver.message import fold

NOISE = 0
"""The id every blob with such a token has."""
_GRAMS = 65_536
FIRST_WORD = 65_600
"""Ids below are those of grams, from here on of words."""
_SHORT, _LONG, _GRAM = 7, 20, 3
_WORD = re.compile(r"\w+")


class Folded:
    """Header and text of a message as `mailserver.message.fold_line` makes them, and their different words.

    What stands between blanks is folded once, however often it comes.
    """

    __slots__ = ("body", "head", "tokens")

    def __init__(self, head: str, body: str) -> None:
        chunks, more = head.split(), body.split()
        different = list({*chunks, *more})
        text = fold("\n".join(different))
        folded = dict(zip(different, text.split("\n"), strict=True)) if different else {}
        self.head = " ".join(filter(None, map(folded.__getitem__, chunks)))
        self.body = " ".join(filter(None, map(folded.__getitem__, more)))
        self.tokens = set(_WORD.findall(text))


def is_word(token: str) -> bool:
    """Whether a token goes into the dictionary."""
    return len(token) <= _SHORT or (len(token) <= _LONG and token.isalpha())


def grams(token: str) -> set[int]:
    """The ids of a token's runs of three letters; empty for a shorter one."""
    return {
        1 + crc32(token[at : at + _GRAM].encode("utf-8", "replace")) % _GRAMS
        for at in range(len(token) - _GRAM + 1)
    }


@dataclass(frozen=True, slots=True)
class Piece:
    """One word of a searched text; open on a side where the word in the message may go on."""

    text: str
    open_left: bool
    open_right: bool


def pieces(folded: Iterable[str]) -> list[Piece]:
    """What must all be in a message that holds each of these folded texts; empty when that says nothing."""
    found: list[Piece] = []
    for text in folded:
        found += [Piece(one[0], one.start() == 0, one.end() == len(text)) for one in _WORD.finditer(text)]
    return list(dict.fromkeys(found))
