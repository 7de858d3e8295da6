# SPDX-License-Identifier: AGPL-3.0-or-later
"""The frozen corpus judged anew: whatever changed in a validator, these files must be found to be what they were."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from tests.corpus.make import EXPECTED, FILES, judged, told

FROZEN: dict[str, Any] = json.loads(EXPECTED.read_text())
CASES: list[dict[str, Any]] = FROZEN["cases"]


@pytest.mark.parametrize("case", CASES, ids=[one["file"] for one in CASES])
def test_found_as_it_was(case: dict[str, Any]) -> None:
    data = (FILES / case["file"]).read_bytes()
    now = datetime.fromisoformat(FROZEN["now"])
    verdict = judged(case["file"], data, now, crl=case["crl"], require=case["require"])
    assert told(verdict) == case["found"]


def test_it_has_every_outcome_in_every_format() -> None:
    found: dict[str, set[str]] = {}
    for one in CASES:
        found.setdefault(one["found"]["kind"], set()).add(one["found"]["verdict"])
    for kind in ("pdf", "edxml", "packet", "mail", "receipt", "evidence", "cms"):
        assert "TOTAL-PASSED" in found[kind], kind
        assert found[kind] & {"TOTAL-FAILED", "UNREADABLE"}, kind
    assert "INDETERMINATE" in found["mail"] & found["pdf"]
    assert len(CASES) == len({one["file"] for one in CASES})
