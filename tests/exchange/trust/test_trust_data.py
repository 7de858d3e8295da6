# SPDX-License-Identifier: AGPL-3.0-or-later
"""OCSP (answers made by openssl), trust lists and pins, the government's profile."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.refusal import Refused
from exchange.sealing.judging import Judging
from exchange.sealing.signed import sign_detached, verify_signed
from exchange.trust.anchors import Anchors, Period
from exchange.trust.chain import validate_chain
from exchange.trust.directory import TrustDirectory
from exchange.trust.lists import read_lists
from exchange.trust.ocsp import read_response
from exchange.trust.subject import subject_of
from exchange.verifying.file import verify_file
from exchange.verifying.second import heard
from tests.corpus.make import EXPECTED, FILES
from tests.exchange.sealing.province import Province
from tests.exchange.trust.government import Government, government

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def gov() -> Government:
    return government()


@pytest.fixture(scope="module")
def province() -> Province:
    return Province()


def _pem(path: Path, *certificates: x509.Certificate) -> str:
    path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    return str(path)


def _ocsp(folder: Path, province: Province, state: str, *more: str, at: datetime | None = None) -> bytes:
    """openssl's answer, signed by the issuing authority, for the seal of agency A."""
    certificate = province.a.chain[0]
    revoked = (at or datetime.now(UTC) - DAY).strftime("%y%m%d%H%M%SZ")
    until = certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ")
    serial = _even(certificate.serial_number)
    when = revoked if state == "R" else ""
    (folder / "index.txt").write_text(f"{state}\t{until}\t{when}\t{serial}\tunknown\t/CN=a\n")
    key = province.issuing.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "issuing.key").write_bytes(key)
    issuing = _pem(folder / "issuing.pem", province.issuing.certificate)
    words = ["openssl", "ocsp", "-issuer", issuing, *more, "-cert", _pem(folder / "a.pem", certificate)]
    asked = subprocess.run([*words, "-reqout", "request"], cwd=folder, capture_output=True, check=False)
    assert asked.returncode == 0, asked.stderr
    answer = [
        "openssl",
        "ocsp",
        "-index",
        "index.txt",
        "-CA",
        issuing,
        "-rsigner",
        issuing,
        "-rkey",
        "issuing.key",
    ]
    done = subprocess.run(
        [*answer, "-reqin", "request", "-respout", "answer", "-ndays", "7"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "answer").read_bytes()


def _even(number: int) -> str:
    text = f"{number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def test_ocsp_of_openssl(province: Province, tmp_path: Path) -> None:
    certificate, now = province.a.chain[0], datetime.now(UTC)
    extra = [province.issuing.certificate]
    for more in ((), ("-sha256",)):
        good = province.anchors.adding(ocsps=[read_response(_ocsp(tmp_path, province, "V", *more))])
        assert validate_chain(certificate, extra, good, now).revocation == "good"
        assert validate_chain(certificate, extra, good, now + 30 * DAY).revocation == "not-checked"
    other = validate_chain(province.b.chain[0], extra, good, now)
    assert other.revocation == "not-checked"
    bad = province.anchors.adding(ocsps=[read_response(_ocsp(tmp_path, province, "R"))])
    result = validate_chain(certificate, extra, bad, now)
    assert (result.status, result.sub_indication) == ("TOTAL-FAILED", "REVOKED")
    then = validate_chain(certificate, extra, bad, now - timedelta(minutes=30))
    assert then.sub_indication == "REVOKED"


def test_an_ocsp_answer_of_somebody_else(province: Province, tmp_path: Path) -> None:
    answer = bytearray(_ocsp(tmp_path, province, "R"))
    certificate, now = province.a.chain[0], datetime.now(UTC)
    answer[answer.index(b"\x18\x0f") + 6] ^= 1  # the time it was made, which is signed
    for data in (bytes(answer), _ocsp(tmp_path, Province(), "R")):
        try:
            anchors = province.anchors.adding(ocsps=[read_response(data)])
        except Refused:
            continue
        result = validate_chain(certificate, [province.issuing.certificate], anchors, now)
        assert (result.status, result.revocation) == ("TOTAL-PASSED", "not-checked")
    for junk in (b"", b"junk", bytes(answer[:200])):
        with pytest.raises(Refused):
            read_response(junk)


def test_a_trust_list_that_ended_keeps_old_signatures(province: Province) -> None:
    now = datetime.now(UTC)
    ended = replace(
        province.anchors, periods=(Period(province.root.certificate, None, now - timedelta(minutes=10)),)
    )
    certificate, extra = province.a.chain[0], [province.issuing.certificate]
    assert validate_chain(certificate, extra, ended, now - timedelta(minutes=20)).status == "TOTAL-PASSED"
    result = validate_chain(certificate, extra, ended, now)
    assert (result.status, result.sub_indication) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")


def test_lists_and_pins_are_data(province: Province, gov: Government, tmp_path: Path) -> None:
    directory = TrustDirectory(tmp_path)
    directory.create()
    directory.put("ca", [province.root.certificate])
    _pem(tmp_path / "roots" / "gov.pem", gov.root)
    own, later = province.a.chain[0], province.b.chain[0]
    pins = (
        f'[[pin]]\ncode = "H12.01"\nsha256 = "{own.fingerprint(hashes.SHA256()).hex()}"\n'
        f'[[pin]]\ncode = "H12.01"\nsha256 = "{later.fingerprint(hashes.SHA256()).hex()}"\nfrom = 2030-01-01T00:00:00Z\n'
    )
    told = '[[list]]\nname = "Chính phủ"\nkind = "government"\nroots = ["roots/gov.pem"]\nuntil = 2020-01-01T00:00:00Z\n'
    (tmp_path / "lists.toml").write_text(told + pins)
    anchors = directory.anchors()
    now = datetime.now(UTC)
    assert not anchors.trusts(gov.root, now)
    assert anchors.trusts(province.root.certificate, now)
    lists = directory.lists()
    assert lists.pinned("H12.01", own, now)
    assert not lists.pinned("H12.01", later, now)
    assert lists.pinned("H12.01", later, datetime(2030, 2, 1, tzinfo=UTC))
    assert lists.pinned("H12.99", later, now)
    for wrong in (
        "[[list]]\nname = 1",
        "[[pin]]\ncode='x'\nsha256='00'",
        "x = 1",
        "[[",
        '[[list]]\nname="a"\nkind="b"\nroots=[]',
    ):
        (tmp_path / "lists.toml").write_text(wrong)
        with pytest.raises(Refused):
            read_lists(tmp_path / "lists.toml")


def test_the_governments_profile(gov: Government) -> None:
    """Certificates without nonRepudiation sign here; who they are is read from the subject."""
    anchors = Anchors((gov.root,), (gov.sub,))
    person, agency = subject_of(gov.person), subject_of(gov.agency)
    assert (person.role, person.title) == ("person", "Chánh Văn phòng")
    assert (agency.role, agency.code) == ("organisation", "")
    for certificate in (gov.person, gov.agency):
        data = sign_detached(
            b"x", [certificate, gov.sub], lambda a: gov.key.sign(a, padding.PKCS1v15(), hashes.SHA256())
        )
        judging = Judging(anchors)
        judgement = heard(verify_signed(data, b"x", judging), judging)
        assert judgement.outcome == "TOTAL-PASSED", judgement


@pytest.mark.parametrize(
    ("kind", "official"), [("installation", True), ("government", True), ("public", False)]
)
def test_whose_authority_decides_what_is_official(kind: str, official: bool, tmp_path: Path) -> None:
    """Sound signatures stay sound; official they are by our own and the government's authority, not by a public one."""
    directory = TrustDirectory(tmp_path)
    directory.create()
    (tmp_path / "ca.pem").write_bytes((FILES / "trust" / "ca.pem").read_bytes())
    (tmp_path / "lists.toml").write_text(f'[[list]]\nname = "x"\nkind = "{kind}"\nroots = ["ca.pem"]\n')
    now = datetime.fromisoformat(json.loads(EXPECTED.read_text())["now"])
    for name in ("official.pdf", "signed.edxml", "signed.eml"):
        verdict = verify_file((FILES / name).read_bytes(), name, anchors=directory.anchors(), now=now)
        assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", official), name
        assert {one.authority for one in verdict.signatures if one.role != "timestamp"} == {kind}
        assert ("public authority" in verdict.reason) == (kind == "public" and name == "official.pdf")
