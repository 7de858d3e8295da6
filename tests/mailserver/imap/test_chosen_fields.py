# SPDX-License-Identifier: AGPL-3.0-or-later
"""The fields a client asks for are the same whether they come out of a sealed page or of the message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.sections import only
from mailserver.search import fields
from mailserver.search.fields import Fields

_NAMES = st.sampled_from([b"FROM", b"TO", b"SUBJECT", b"DATE", b"X-A", b"-ODD", b"]BAD"])
_LINES = st.sampled_from(
    [
        b"From: a\r\n",
        b"from : a\n",
        b"To: b\r\n c\r\n",
        b"Subject:\r\n",
        b" Date: x\r\n",
        b"DATE: y\r\n\td\r\n",
        b"X-A: 1\r\n",
        b"X-AB: 2\r\n",
        b"-odd: 3\r\n",
        b"]bad: 4\r\n",
        b"\r\n",
        b"From\r\n",
        b"Fromage: z\r\n",
        b"To: end",
        b"X-B: %b\r\n",
        b"no field: X-A: 1\r\n",
        b"x\x0by: 5\r\n",
        b"nul: \0\r\n",
    ]
)


_HEADS = st.lists(st.one_of(st.lists(_LINES, max_size=8).map(b"".join), st.none()), max_size=6)


@pytest.mark.parametrize("most_names", [100, 2])
@given(heads=_HEADS, names=st.lists(_NAMES, min_size=1, max_size=3, unique=True))
def test_both_ways_agree(most_names: int, heads: list[bytes | None], names: list[bytes]) -> None:
    """Also where a page has more names than columns; what a page can't hold is not in it."""
    wanted = tuple(names)
    assert fields.answers(wanted)
    with pytest.MonkeyPatch.context() as few:
        few.setattr(fields, "_MOST_NAMES", most_names)
        page = Fields.unpack(Fields.of(enumerate(heads, 1)).pack())
    kept = {uid: one for uid, one in enumerate(heads, 1) if one is not None and b"\0" not in one}
    assert list(page.uids) == list(kept)
    assert page.chosen(wanted) == [b"".join([*only(wanted).findall(one), b"\r\n"]) for one in kept.values()]


@pytest.mark.parametrize("name", [b"", b"X:", b"A B", b"\x0b", b"X\0"])
def test_odd_names_are_left_to_the_message(name: bytes) -> None:
    assert not fields.answers((b"FROM", name))


def test_a_long_header_is_left_to_the_message() -> None:
    page = Fields.of([(1, b"A: " + b"x" * 17_000 + b"\r\n"), (2, b"A: x\r\n")])
    assert list(page.uids) == [2]


@pytest.mark.parametrize("packed", [b"", b"x", b"\1\0\0\0x", b"\0\0\0\0"])
def test_something_else_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="not the fields"):
        Fields.unpack(packed)
