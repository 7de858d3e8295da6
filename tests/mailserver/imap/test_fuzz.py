# SPDX-License-Identifier: AGPL-3.0-or-later
"""The short form of `make fuzz` for IMAP: every seed in every state, and fixed mutations of them."""

from __future__ import annotations

import random

import pytest

from tests.mailserver.imap.fuzz import SEEDS, STATES, harness

_PIECES = (
    b"(",
    b")",
    b'"',
    b"\\",
    b"{5+}\r\n",
    b"{99999999999}",
    b"~{1+}\r\nx",
    b"\r\n",
    b"\0",
    b"\xff",
    b"*",
    b"$",
    b" ",
    b"0",
    b"4294967296",
    b"UID ",
    b"a ",
    b"[",
    b"]<1.2>",
    b",",
    b":*",
)


@pytest.mark.parametrize("state", range(len(STATES)))
def test_whatever_a_client_sends_is_answered_and_is_no_error_of_the_server(state: int) -> None:
    chance = random.Random(state)
    with harness() as made:
        for seed in SEEDS:
            made.check(bytes([state]) + seed)
            for _ in range(12):
                raw = bytearray(seed)
                for _ in range(chance.randint(1, 6)):
                    at = chance.randrange(len(raw) + 1)
                    kind = chance.randrange(4)
                    if kind == 0:
                        raw[at:at] = chance.choice(_PIECES)
                    elif kind == 1:
                        del raw[at : at + chance.randint(1, 8)]
                    elif kind == 2:
                        raw[at:at] = raw[at : at + chance.randint(1, 40)]
                    else:
                        raw[at : at + 1] = bytes([chance.randrange(256)])
                made.check(bytes([state]) + bytes(raw) + b"\r\n")
