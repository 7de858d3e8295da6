# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which words of a text are indexed."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mailserver.message import fold, fold_line
from mailserver.search.terms import Folded

_PIECES = st.sampled_from(
    ["Công văn", "đường\u0301", "\u0301", "İ", "K", "a\u0338=\u0338", " ", "\u00a0", "\n", "ﬁ", "2\u20e3"]
)


def test_words_are_folded_and_named_once() -> None:
    assert Folded("Công văn", "CÔNG VĂN; cong-van").tokens == {"cong", "van"}


_TEXTS = st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map("".join))


@given(_TEXTS, _TEXTS)
def test_folding_each_chunk_once_changes_nothing(head: str, body: str) -> None:
    """What stands between blanks is folded once: lines and words are those of the folded text."""
    head, body = unicodedata.normalize("NFC", head), unicodedata.normalize("NFC", body)
    made = Folded(head, body)
    assert (made.head, made.body) == (fold_line(head), fold_line(body))
    assert made.tokens == set(re.findall(r"\w+", fold(head + "\n" + body)))
