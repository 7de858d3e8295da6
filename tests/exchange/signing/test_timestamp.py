# SPDX-License-Identifier: AGPL-3.0-or-later
"""The time-stamp authority, judged by openssl."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import cms, core, tsp
from hypothesis import given, settings
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.signing.timestamp import MAX_REQUEST, TimestampAuthority
from exchange.trust.authority import make_root, new_key, timestamp_certificate
from tests.exchange.signing.house import House


@pytest.fixture(scope="module")
def authority(house: House) -> TimestampAuthority:
    """An authority with the keys of the house and serials of its own."""
    key, _ = house.store.elliptic("tsa")
    certificate = house.directory.timestamp_certificate()
    assert certificate is not None
    numbers = iter(range(1, 1_000_000))
    return TimestampAuthority(key, certificate, (), lambda: next(numbers))


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_openssl_agrees(house: House, tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "data").write_bytes(b"packet")
    run = lambda *words: subprocess.run(  # noqa: E731
        ["openssl", "ts", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    run("-query", "-data", "data", f"-{algorithm}", "-cert", "-out", "q.tsq")
    (tmp_path / "r.tsr").write_bytes(house.client.timestamp_response((tmp_path / "q.tsq").read_bytes()))
    trust = ["-CAfile", str(house.places.trust / "ca.pem")]
    said = run("-verify", "-queryfile", "q.tsq", "-in", "r.tsr", *trust)
    assert "Verification: OK" in said.stdout, said.stderr
    said = run("-verify", "-data", "data", "-in", "r.tsr", *trust)
    assert "Verification: OK" in said.stdout, said.stderr
    (tmp_path / "data").write_bytes(b"another")
    assert "OK" not in run("-verify", "-data", "data", "-in", "r.tsr", *trust).stdout
    text = run("-reply", "-in", "r.tsr", "-text").stdout
    assert "Status: Granted" in text
    assert "Accuracy: 0x01 seconds" in text


def test_nonce_and_time_come_back(authority: TimestampAuthority) -> None:
    request = _request("sha256", hashlib.sha256(b"x").digest(), nonce=2**63 + 5)
    response = tsp.TimeStampResp.load(authority.answer(request))
    assert response["status"]["status"].native == "granted"
    info = response["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed
    assert info["nonce"].native == 2**63 + 5
    assert abs((datetime.now(UTC) - info["gen_time"].native).total_seconds()) < 10
    assert response["time_stamp_token"]["content"]["certificates"].native is None  # not asked for


@pytest.mark.parametrize(
    ("request_", "failure"),
    [
        (b"", "bad_data_format"),
        (b"0" * 10, "bad_data_format"),
        (bytes(MAX_REQUEST + 1), "bad_data_format"),
    ],
)
def test_rejections(authority: TimestampAuthority, request_: bytes, failure: str) -> None:
    _rejected(authority, request_, failure)


def test_weak_or_wrong_imprints_are_rejected(authority: TimestampAuthority) -> None:
    _rejected(authority, _request("sha1", bytes(20)), "bad_alg")
    _rejected(authority, _request("sha256", bytes(31)), "bad_data_format")
    _rejected(authority, _request("sha256", bytes(32), policy="1.2.3.4"), "unaccepted_policy")


def test_serials_never_repeat_also_after_a_restart(house: House) -> None:
    seen = {_serial(house.client.timestamp(hashlib.sha256(bytes([n])).digest())) for n in range(20)}
    assert len(seen) == 20
    kept = int((house.places.keys / "timestamp.serial").read_text())
    assert kept > max(seen)


def test_only_good_digests(house: House) -> None:
    for digest, algorithm in ((bytes(20), "sha1"), (bytes(31), "sha256"), (b"", "sha512")):
        with pytest.raises(Refused) as refused:
            house.client.timestamp(digest, algorithm)
        assert refused.value.code == "bad-request"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120))
def test_any_request_has_an_answer(data: bytes) -> None:
    answer = _any_authority().answer(data)
    assert _status(answer)["status"].native in ("granted", "rejection")


@cache
def _any_authority() -> TimestampAuthority:
    root, key = make_root("Root", "Tỉnh"), new_key()
    certificate = timestamp_certificate(root, key.public_key(), name="TSA", organisation="Tỉnh")
    return TimestampAuthority(key, certificate, (), lambda: 1)


def _request(algorithm: str, imprint: bytes, nonce: int | None = None, policy: str | None = None) -> bytes:
    values = {
        "version": 1,
        "message_imprint": {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": imprint},
    }
    if nonce is not None:
        values["nonce"] = nonce
    if policy is not None:
        values["req_policy"] = policy
    data: bytes = tsp.TimeStampReq(values).dump()
    return data


def _rejected(authority: TimestampAuthority, request: bytes, failure: str) -> None:
    status = _status(authority.answer(request))
    assert status["status"].native == "rejection"
    assert status["fail_info"].native == {failure}


def _status(answer: bytes) -> tsp.PKIStatusInfo:
    """Read by hand: asn1crypto thinks that a rejection must hold a token."""
    return tsp.PKIStatusInfo.load(core.Sequence.load(answer, strict=True)[0].dump())


def _serial(token: bytes) -> int:
    info = cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    return int(info["serial_number"].native)
