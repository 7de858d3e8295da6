# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bytes of the frozen corpus replaced, taken away, doubled: a verdict in plain words, never an exception."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attacks.conftest import speaks_plainly
from tests.corpus.make import EXPECTED, FILES, judged

FROZEN: dict[str, Any] = json.loads(EXPECTED.read_text())
NOW = datetime.fromisoformat(FROZEN["now"])
KINDS = ("mail", "packet", "edxml", "cms", "receipt")
CASES = {kind: [one for one in FROZEN["cases"] if one["found"]["kind"] == kind] for kind in KINDS}
JUNK = st.one_of(
    st.binary(min_size=0, max_size=6),
    st.sampled_from(
        [
            b"\x00",
            b"\r\n\r\n",
            b'"',
            b";",
            b"=?x?q?=",
            b"*0*=",
            b"%00",
            b"\xff\xfe",
            b"<",
            b"&x;",
            b"\x30\x80",
        ]
    ),
)


@pytest.mark.parametrize("kind", KINDS)
def test_any_damage(kind: str) -> None:
    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, 10**6), st.integers(0, 1400), st.integers(0, 8), JUNK, st.booleans())
    def holds(which: int, place: int, gone: int, junk: bytes, head: bool) -> None:
        case = CASES[kind][which % len(CASES[kind])]
        if "pgp" in case["file"]:
            return  # gpg takes 30 ms each: tests/exchange/sealing/test_openpgp_wire.py has what stands before it
        data = (FILES / case["file"]).read_bytes()
        at = place % len(data) if head else place * len(data) // 1401
        verdict = judged(
            case["file"], data[:at] + junk + data[at + gone :], NOW, crl=case["crl"], require=case["require"]
        )
        assert speaks_plainly(verdict), verdict.reason

    holds()
