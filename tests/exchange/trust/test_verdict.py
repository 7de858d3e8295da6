# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict's JSON is a fixed outside (DESIGN §5), and every sub-indication has words."""

from __future__ import annotations

import re
from pathlib import Path

import exchange.trust
from exchange.trust.verdict import (
    FAILED,
    INDETERMINATE,
    PASSED,
    UNREADABLE,
    UNSIGNED,
    SignatureVerdict,
    Verdict,
    advice,
    first_sub_indication,
    meaning_of,
    worst,
)

SOUND = SignatureVerdict("Giám đốc", "Sở Nội vụ", "person", "2026-11-24T10:00:00+07:00", PASSED)


def test_json_has_exactly_the_keys_of_the_contract() -> None:
    answer = Verdict("pdf", PASSED, "ok", signatures=(SOUND,)).as_json()
    assert list(answer) == ["kind", "verdict", "reason", "encryption", "official", "signatures"]
    assert list(answer["signatures"][0]) == [
        "signer",
        "organisation",
        "role",
        "time",
        "verdict",
        "sub_indication",
        "revocation",
        "covers_whole_file",
        "changed_after",
    ]


def test_edxml_and_evidence_add_theirs() -> None:
    problem = {"element": "Code", "rule": "R", "text": "t"}
    edxml = Verdict("edxml", INDETERMINATE, "repaired", fields={"a": 1}, problems=(problem,))
    assert edxml.as_json()["fields"] == {"a": 1}
    assert edxml.as_json()["problems"] == [problem]
    evidence = Verdict("evidence", PASSED, "", not_covered=((1, 2),))
    assert evidence.as_json()["not_covered"] == [[1, 2]]


def test_the_worst_wins() -> None:
    assert worst([]) == PASSED
    assert worst([PASSED, INDETERMINATE, PASSED]) == INDETERMINATE
    assert worst([INDETERMINATE, FAILED]) == FAILED
    failed = SignatureVerdict("", "", "person", "", FAILED, "HASH_FAILURE")
    open_ = SignatureVerdict("", "", "person", "", INDETERMINATE, "TRY_LATER")
    assert first_sub_indication([SOUND, open_, failed]) == "HASH_FAILURE"
    assert first_sub_indication([SOUND]) == ""


def test_every_sub_indication_in_the_code_has_words_in_both_languages() -> None:
    (folder,) = exchange.trust.__path__
    named: set[str] = set()
    for file in Path(folder).glob("*.py"):
        named |= set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+|REVOKED|EXPIRED)"', file.read_text()))
    named -= {"CERTIFICATE"}
    assert {"CHANGED_AFTER_SEAL", "REVOKED", "TRY_LATER"} <= named
    other = advice("SOMETHING_ELSE", "vi")
    for one in named:
        assert advice(one, "vi") not in ("", other), one
        assert advice(one, "en"), one
    assert advice("", "vi") == ""


def test_verdicts_have_words() -> None:
    for one in (PASSED, INDETERMINATE, FAILED, UNSIGNED, UNREADABLE):
        assert meaning_of(one, "vi") != meaning_of(one, "en")
    meaning, todo = Verdict("pdf", FAILED, "", sub_indication="REVOKED").words("vi")
    assert meaning == "Không hợp lệ"
    assert "thu hồi" in todo
