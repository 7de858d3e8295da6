# SPDX-License-Identifier: AGPL-3.0-or-later
"""Arguments of MAIL and RCPT."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.smtp import paths
from mailserver.smtp.paths import BadArgument


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        ("FROM:<>", "", {}),
        ("FROM:<a@b.example>", "a@b.example", {}),
        ("from: <a@b.example>  size=5  BODY=8bitmime", "a@b.example", {"SIZE": "5", "BODY": "8bitmime"}),
        ("FROM:a@b.example SMTPUTF8", "a@b.example", {"SMTPUTF8": None}),
        ("FROM:<@x.example,@y.example:a@b.example>", "a@b.example", {}),
        ('FROM:<"a > b"@b.example>', '"a > b"@b.example', {}),
    ],
)
def test_read(argument: str, address: str, parameters: dict[str, str | None]) -> None:
    found = paths.parse("FROM:", argument)
    assert (found.address, found.parameters) == (address, parameters)


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "FROM",
        "TO:<a@b>",
        "FROM:<a@b",
        "FROM:<a b@c>",
        "FROM:<a@b>SIZE=1",
        "FROM:<a@b> SIZE=",
        "FROM:<a@b> A=1 A=2",
        "FROM:",
    ],
)
def test_refused(argument: str) -> None:
    with pytest.raises(BadArgument):
        paths.parse("FROM:", argument)


@pytest.mark.parametrize(
    "address", ["a", "@b", "a@", "a@@b", "a@b..", "x" * 65 + "@b.example", "a@" + "b" * 260, 'a"b@c.example']
)
def test_no_address(address: str) -> None:
    with pytest.raises(BadArgument):
        paths.check_address(address, sender=False)


@pytest.mark.parametrize(
    "address", ["a@b.example", '"a b"@b.example', "thư@b.example", "a+b@[127.0.0.1]", "a@b"]
)
def test_addresses(address: str) -> None:
    paths.check_address(address, sender=True)


@given(st.text(max_size=300))
def test_never_anything_but_a_bad_argument(text: str) -> None:
    with contextlib.suppress(BadArgument):
        paths.check_address(paths.parse("FROM:", "FROM:" + text).address, sender=True)


def test_xtext() -> None:
    assert paths.from_xtext("a+2Bb+3Dc", 100) == "a+b=c"
    for bad in ("a+2bb", "a=b", "x+0D+0AEvil:", None, "y" * 101):
        with pytest.raises(BadArgument):
            paths.from_xtext(bad, 100)


def test_notify() -> None:
    assert paths.notify_of("delay,success") == "SUCCESS,DELAY"
    assert paths.notify_of("never") == "NEVER"
    for bad in (None, "", "NEVER,DELAY", "SOMETIMES"):
        with pytest.raises(BadArgument):
            paths.notify_of(bad)
