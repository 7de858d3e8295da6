# SPDX-License-Identifier: AGPL-3.0-or-later
"""Truncation: every file of the frozen corpus that passes, cut everywhere; nothing cut passes, nothing raises."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from tests.attacks.conftest import speaks_plainly
from tests.corpus.make import EXPECTED, FILES, judged

FROZEN: dict[str, Any] = json.loads(EXPECTED.read_text())
NOW = datetime.fromisoformat(FROZEN["now"])
SOUND = [one for one in FROZEN["cases"] if one["found"]["verdict"] == "TOTAL-PASSED"]
QUICK = ("mail", "edxml", "cms", "receipt")
"""Judged in about a millisecond when cut; a PDF, a packet or an evidence file takes more."""


def _lengths(case: dict[str, Any], size: int) -> list[int]:
    """Everywhere near both ends, and evenly between."""
    between = 12 if "pgp" in case["file"] else 150 if case["found"]["kind"] in QUICK else 30
    near = 3 if "pgp" in case["file"] else 40
    return sorted(
        {*range(min(near, size)), *range(max(0, size - near), size), *range(0, size, max(1, size // between))}
    )


@pytest.mark.parametrize("case", SOUND, ids=[one["file"] for one in SOUND])
def test_nothing_that_was_cut_passes(case: dict[str, Any]) -> None:
    """Only line ends behind the last boundary of a mail may be missing: they are of no part."""
    data = (FILES / case["file"]).read_bytes()
    for end in _lengths(case, len(data)):
        verdict = judged(case["file"], data[:end], NOW, crl=case["crl"], require=case["require"])
        assert speaks_plainly(verdict), (end, verdict.reason)
        closed = case["found"]["kind"] == "mail" and not data[end:].strip(b"-\r\n")
        assert not verdict.passed or closed, end
        assert not verdict.official or closed, end
