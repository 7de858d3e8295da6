# SPDX-License-Identifier: AGPL-3.0-or-later
"""S/MIME mails made by openssl: the signer must be the one in From."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.trust.verdict import Verdict
from exchange.verifying.file import verify_file
from exchange.verifying.mail import verify_mail
from tests.exchange.sealing.province import Province, pem_of, run
from tests.exchange.verifying.issued import person

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nK\xc3\xadnh g\xe1\xbb\xadi.\r\n"


@pytest.fixture
def made(province: Province, folder: Path) -> Path:
    key, certificate = person(province, "Cơ quan H12.01")
    (folder / "p.pem").write_bytes(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    (folder / "text").write_bytes(TEXT)
    return folder


def _sign(folder: Path, sender: str, signer: str = "p.pem", *options: str) -> bytes:
    words = ["openssl", "cms", "-sign", "-in", "text", "-signer", signer, "-certfile", "issuing.pem"]
    done: subprocess.CompletedProcess[bytes] = run(
        folder, *words, "-from", sender, "-to", "x@y.example", "-subject", "Thu", *options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _verify(province: Province, data: bytes, key: bool = False) -> Verdict:
    return verify_file(data, "m.eml", anchors=province.anchors, openers=[province.b.opener] if key else [])


@pytest.mark.parametrize("options", [(), ("-nodetach",), ("-stream",)])
def test_signed_by_its_sender(province: Province, made: Path, options: tuple[str, ...]) -> None:
    data = _sign(made, "Lanh dao <Lanh.Dao@a.example>", "p.pem", *options)
    for form in (data, data.replace(b"\r\n", b"\n"), data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
        verdict = _verify(province, form)
        assert (verdict.verdict, verdict.reason, verdict.official) == ("TOTAL-PASSED", "", True)
        assert verdict.signatures[0].role == "person"


def test_agency_signs_from_its_registry(province: Province, made: Path) -> None:
    verdict = _verify(province, _sign(made, "vt@a.example", "a-sign.pem"))
    assert verdict.passed
    assert verdict.signatures[0].role == "organisation"


def test_signer_is_not_sender(province: Province, made: Path) -> None:
    for sender in ("other@a.example", "lanh.dao@a.example, x@y.example"):
        verdict = _verify(province, _sign(made, sender))
        assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "SIGNER_IS_NOT_SENDER")
    twice = b"From: lanh.dao@a.example\r\n" + _sign(made, "lanh.dao@a.example")
    assert not _verify(province, twice).passed


def test_altered_or_wrapped(province: Province, made: Path) -> None:
    data = _sign(made, "lanh.dao@a.example")
    assert _verify(province, data.replace(b"K\xc3\xad", b"K\xc3\xac")).sub_indication == "HASH_FAILURE"
    inner = data[data.index(b"Content-Type: multipart/signed") :]
    around = b"From: lanh.dao@a.example\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n" + inner
    assert _verify(province, around + b"\r\n--q\r\n\r\nfooter\r\n--q--\r\n").verdict == "UNSIGNED"
    assert _verify(province, b"From: a@b.example\r\n\r\nplain\r\n").verdict == "UNSIGNED"


def test_encrypted_around_the_signature(province: Province, made: Path) -> None:
    (made / "signed").write_bytes(_sign(made, "lanh.dao@a.example"))
    for cipher in ("-aes256", "-aes-256-gcm"):
        words = [
            "openssl",
            "cms",
            "-encrypt",
            cipher,
            "-in",
            "signed",
            "-from",
            "lanh.dao@a.example",
            "b.pem",
        ]
        done = run(made, *words)
        assert done.returncode == 0, done.stderr
        shut = _verify(province, done.stdout)
        assert (shut.verdict, shut.encryption) == ("INDETERMINATE", "failed")
        opened = _verify(province, done.stdout, key=True)
        assert (opened.verdict, opened.encryption) == ("TOTAL-PASSED", "decrypted")


@pytest.mark.parametrize(
    "boundary", ["boundary*=\x00tf-8''y", "boundary*=no-such''y", "boundary*0*=%00", 'boundary=""']
)
def test_a_boundary_that_the_parser_trips_over(province: Province, boundary: str) -> None:
    head = f"From: a@a.example\r\nContent-Type: multipart/signed; protocol=x; {boundary}\r\n\r\n"
    verdict = verify_mail(head.encode() + b"--y\r\n\r\n--y\r\n\r\n--y--\r\n", province.judging)
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "FORMAT_FAILURE")
