# SPDX-License-Identifier: AGPL-3.0-or-later
"""Replies: ASCII unless asked otherwise, bounded lines, codes, rule ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config.refusal import Refused, Unavailable
from mailserver.smtp.errors import accepted, refusal, reply, without_marks
from policy.judge import Decision, Finding


def test_without_marks() -> None:
    assert without_marks("Đường dây “nóng” – Ủy ban…") == 'Duong day "nong" - Uy ban...'


@given(st.integers(200, 599), st.lists(st.text(max_size=2000), min_size=1, max_size=4), st.booleans())
def test_every_reply_is_well_formed(code: int, words: list[str], utf8: bool) -> None:
    lines = reply(code, "5.7.1", *words, utf8=utf8).split(b"\r\n")
    assert all(b"\r" not in one and b"\n" not in one for one in lines)
    assert all(one[:4] == f"{code}-".encode() for one in lines[:-1])
    assert lines[-1][:4].ljust(4) == f"{code} ".encode()
    if not utf8:
        assert all(one.isascii() and len(one) <= 510 for one in lines)


def test_refusals() -> None:
    assert refusal(Refused("no-such-recipient", "Không", "No")) == b"550-5.1.1 No\r\n550 5.1.1 Khong"
    assert refusal(Unavailable("disk-full", "Đầy", "Full")).startswith(b"451-4.3.0 Full")
    assert refusal(Refused("something", "a", "b")).startswith(b"554-5.7.0")
    ruled = refusal(Refused("rule", "mật", "secret", rule="R-MAIL-05"))
    assert ruled == b"550-5.7.1 [R-MAIL-05] secret\r\n550 5.7.1 [R-MAIL-05] mat"


def test_warnings_are_named_in_the_250() -> None:
    one = Finding("R-MAIL-01", "warn", "CT 15/2012", "read", "Hãy dùng thư công vụ", "Use official mail")
    lines = accepted("abc", Decision("warn", (one,)), utf8=True).decode().split("\r\n")
    assert lines[0] == "250-2.0.0 Accepted abc; R-MAIL-01: Use official mail"
    assert lines[1] == "250 2.0.0 R-MAIL-01: Hãy dùng thư công vụ"
    assert accepted("abc", None) == b"250 2.0.0 Accepted abc"
