# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two validators: where one says no, the signature is not decided, and both answers are kept."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.sealing.sealed_file import seal_file
from exchange.sealing.signed import read_signed, sign_detached, verify_signed
from exchange.trust import second_validator
from exchange.trust.anchors import Anchors
from exchange.trust.second_validator import compared, own_says, pyhanko_on_signer
from exchange.trust.verdict import SignatureVerdict, Verdict, advice
from exchange.verifying.cms import verify_cms
from exchange.verifying.second import heard
from tests.exchange.sealing.province import Province

BODY = b"Content-Type: text/plain\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def province() -> Province:
    return Province()


def _pyhanko(data: bytes, content: bytes, anchors: Anchors, at: datetime) -> tuple[str, str]:
    parts = read_signed(io.BytesIO(data))
    digests = {"sha256": hashlib.sha256(content).digest()}
    return pyhanko_on_signer(parts.infos[0].raw, parts.kind, digests, parts.carried, anchors, at)


def test_they_agree_on_the_sound_and_the_false(province: Province) -> None:
    now = datetime.now(UTC)
    data = sign_detached(BODY, province.a.chain, province.a.sign)
    assert _pyhanko(data, BODY, province.anchors, now) == ("pyhanko", "TOTAL-PASSED")
    assert own_says(data, [BODY[:5], memoryview(BODY)[5:]]) == ("congvan", "TOTAL-PASSED")
    assert _pyhanko(data, BODY + b"x", province.anchors, now)[1] == "TOTAL-FAILED"
    assert own_says(data, [BODY, b"x"])[1] == "TOTAL-FAILED"
    assert _pyhanko(data, BODY, Anchors(), now)[1] == "INDETERMINATE"
    assert pyhanko_on_signer(b"junk", "data", {}, [], province.anchors, now)[1] == "INDETERMINATE"
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
    judgement = verify_signed(sign_detached(BODY, province.a.chain, province.a.sign), BODY, province.judging)
    assert judgement.over is not None
    flawed = replace(judgement, over=replace(judgement.over, digests={"sha256": bytes(32)}))
    doubted = heard(flawed, province.judging)
    assert (doubted.outcome, doubted.sub_indication) == ("INDETERMINATE", "VALIDATORS_DISAGREE")
    assert heard(judgement, province.judging).outcome == "TOTAL-PASSED"
    assert second_validator.PYHANKO in dict(heard(judgement, province.judging).signatures[0].opinions)


@pytest.fixture
def two(province: Province, tmp_path: Path) -> bytes:
    """By openssl: one content, two agencies sign."""
    (tmp_path / "f").write_bytes(BODY)
    for name, agency in (("a", province.a), ("b", province.b)):
        (tmp_path / name).write_bytes(agency.signing_file)
    (tmp_path / "issuing").write_bytes(province.a.chain[1].public_bytes(Encoding.PEM))
    words = "openssl cms -sign -binary -in f -signer a -signer b -certfile issuing -outform DER -out s"
    done = subprocess.run(words.split(), cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (tmp_path / "s").read_bytes()


def test_each_of_several_signers_is_judged_twice(province: Province, two: bytes) -> None:
    judged = heard(verify_signed(two, BODY, province.judging), province.judging)
    assert judged.outcome == "TOTAL-PASSED"
    assert [dict(one.opinions) for one in judged.signatures] == [{"pyhanko": "TOTAL-PASSED"}] * 2


def test_one_of_several_lies(province: Province, two: bytes) -> None:
    """One value of two is false: the whole is false, and both validators name the same one."""
    parts = read_signed(io.BytesIO(two))
    at = two.index(parts.infos[1].signature) + len(parts.infos[1].signature) - 1
    lying = two[:at] + bytes((two[at] ^ 1,)) + two[at + 1 :]
    judged = heard(verify_signed(lying, BODY, province.judging), province.judging)
    assert (judged.outcome, judged.sub_indication) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")
    assert [one.verdict for one in judged.signatures] == ["TOTAL-PASSED", "TOTAL-FAILED"]
    assert [dict(one.opinions)["pyhanko"] for one in judged.signatures] == ["TOTAL-PASSED", "TOTAL-FAILED"]


def test_both_judge_what_is_larger_than_memory_should_be(province: Province, tmp_path: Path) -> None:
    """64 MB in a CMS file: two answers, and neither holds the content."""
    with (tmp_path / "big").open("wb") as file:
        file.truncate(64 << 20)
    seal_file(tmp_path / "big", tmp_path / "p7m", province.a.chain, province.a.sign, [province.b.encryption])
    tracemalloc.start()
    with (tmp_path / "p7m").open("rb") as source:
        verdict = verify_cms(source, province.judging, [province.b.opener])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (verdict.verdict, dict(verdict.signatures[0].opinions)) == (
        "TOTAL-PASSED",
        {"pyhanko": "TOTAL-PASSED"},
    )
    assert peak < 24 << 20
