# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two validators: where one says no, the signature is not decided, and both answers are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exchange.sealing.signed import sign_detached, verify_signed
from exchange.trust import second_validator
from exchange.trust.anchors import Anchors
from exchange.trust.second_validator import compared, own_says, pyhanko_on_cms
from exchange.trust.verdict import SignatureVerdict, Verdict, advice
from exchange.verifying.second import heard
from tests.exchange.sealing.province import Province

BODY = b"Content-Type: text/plain\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def province() -> Province:
    return Province()


def test_they_agree_on_the_sound_and_the_false(province: Province) -> None:
    now = datetime.now(UTC)
    data = sign_detached(BODY, province.a.chain, province.a.sign)
    assert pyhanko_on_cms(data, BODY, province.anchors, now) == ("pyhanko", "TOTAL-PASSED")
    assert own_says(data, [BODY[:5], memoryview(BODY)[5:]]) == ("congvan", "TOTAL-PASSED")
    assert pyhanko_on_cms(data, BODY + b"x", province.anchors, now)[1] == "TOTAL-FAILED"
    assert own_says(data, [BODY, b"x"])[1] == "TOTAL-FAILED"
    assert pyhanko_on_cms(data, BODY, Anchors(), now)[1] == "INDETERMINATE"
    assert pyhanko_on_cms(b"junk", BODY, province.anchors, now)[1] == "INDETERMINATE"
    assert own_says(b"junk", [BODY])[1] == "INDETERMINATE"


def test_a_disagreement_is_recorded_and_never_passes(province: Province) -> None:
    line = SignatureVerdict("a", "o", "person", "", "TOTAL-PASSED")
    judged = compared(line, [("congvan", "TOTAL-PASSED"), ("pyhanko", "TOTAL-FAILED")])
    assert (judged.verdict, judged.sub_indication) == ("INDETERMINATE", "VALIDATORS_DISAGREE")
    assert dict(judged.opinions)["pyhanko"] == "TOTAL-FAILED"
    failed = compared(replace(line, verdict="TOTAL-FAILED"), [("pyhanko", "TOTAL-PASSED")])
    assert (failed.verdict, failed.opinions) == ("TOTAL-FAILED", (("pyhanko", "TOTAL-PASSED"),))
    words = Verdict("mail", "INDETERMINATE", "", sub_indication="VALIDATORS_DISAGREE").words("vi")
    assert words[0] == "Chưa kết luận được"
    assert advice("VALIDATORS_DISAGREE", "vi")


def test_a_validator_with_a_flaw(province: Province) -> None:
    """Ours passes a signature that pyHanko fails: whatever the flaw, the judgement does not pass."""
    data = sign_detached(BODY, province.a.chain, province.a.sign)
    judgement = verify_signed(data, BODY, province.judging)
    other = sign_detached(BODY + b"x", province.a.chain, province.a.sign)
    doubted = heard(judgement, other, BODY, province.judging)
    assert (doubted.outcome, doubted.sub_indication) == ("INDETERMINATE", "VALIDATORS_DISAGREE")
    assert heard(judgement, data, BODY, province.judging).outcome == "TOTAL-PASSED"
    assert second_validator.PYHANKO in dict(doubted.signatures[0].opinions)
