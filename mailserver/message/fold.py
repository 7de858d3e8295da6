# SPDX-License-Identifier: AGPL-3.0-or-later
"""Folding of text for search: ``cong van`` finds ``Công văn``, however the marks are composed."""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"\w+")


def fold(text: str) -> str:
    """``text`` in NFC, lower case, without diacritics, đ as d. Idempotent."""
    if text.isascii():
        return text.lower()
    bare = _MARKS.sub("", unicodedata.normalize("NFD", unicodedata.normalize("NFC", text).lower()))
    return unicodedata.normalize("NFC", bare.replace("đ", "d"))


def fold_line(text: str) -> str:
    """`fold`, with every run of white space as one blank, so that a phrase is found across lines."""
    return _SPACES.sub(" ", fold(text)).strip()


def words(text: str) -> list[str]:
    """The folded words of ``text`` in order, with repetitions."""
    return _WORD.findall(fold(text))
