# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which words of a text are indexed."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mailserver.message import fold
from mailserver.search.terms import tokens

_PIECES = st.sampled_from(
    ["Công văn", "đường\u0301", "\u0301", "İ", "K", "a\u0338=\u0338", " ", "\u00a0", "\n", "ﬁ", "2\u20e3"]
)


def test_words_are_folded_and_named_once() -> None:
    assert tokens("Công văn, CÔNG VĂN; cong-van") == {"cong", "van"}


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map("".join)))
def test_they_are_the_words_of_the_folded_text(text: str) -> None:
    """Each chunk between blanks is folded once, and that changes nothing."""
    composed = unicodedata.normalize("NFC", text)
    assert tokens(composed) == set(re.findall(r"\w+", fold(composed)))
