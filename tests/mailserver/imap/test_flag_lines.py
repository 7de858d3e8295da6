# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is written and changed for many flags at once is what would be for each."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.flags import FlagWords, flag_lines
from mailserver.store.flag_ranges import changed
from mailserver.store.model import flagged

_WORDS = FlagWords({8: "100%d", 61: "$Forwarded"})
_FLAG = st.sampled_from([0, 1, 8, 9, 255, 256, 1 << 61, 1 << 61 | 8])
_FLAGS = st.lists(_FLAG, max_size=40) | st.lists(st.just(8), max_size=40)


@given(_FLAGS, st.data())
def test_lines(flags: list[int], data: st.DataObject) -> None:
    uids = range(1000, 1000 + 3 * len(flags), 3)
    start = data.draw(st.integers(0, len(flags)))
    run = range(start, data.draw(st.integers(start, len(flags))))
    for positions in (run, list(run[::2])):
        each = [
            b"* %d FETCH (UID %d FLAGS %b)\r\n" % (at + 1, uids[at], _WORDS[flags[at]]) for at in positions
        ]
        assert flag_lines(_WORDS, array("I", uids), array("q", flags), positions) == b"".join(each)


@pytest.mark.parametrize("how", ["add", "remove", "replace"])
@given(flags=_FLAGS, mask=_FLAG)
def test_changes(how: str, flags: list[int], mask: int) -> None:
    assert list(changed(array("q", flags), how, mask)) == [flagged(one, how, mask) for one in flags]
