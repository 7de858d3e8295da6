# SPDX-License-Identifier: AGPL-3.0-or-later
"""The fields a client asks for are the same whether they come out of a sealed page or of the message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.leaves import chosen
from mailserver.imap.sections import only

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
    ]
)


@given(st.lists(_LINES, max_size=8), st.lists(_NAMES, min_size=1, max_size=3, unique=True))
def test_both_ways_agree(lines: list[bytes], names: list[bytes]) -> None:
    head, wanted = b"".join(lines), tuple(names)
    assert chosen(head, wanted) == b"".join([*only(wanted).findall(head), b"\r\n"])
