# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail that we sign and encrypt: read by openssl, gpgsm, NSS and gpg; protected headers (RFC 9788)."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from config.refusal import Refused
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.secure_mail import encrypt_mail, pgp_encrypt_mail, pgp_sign_mail, sign_mail
from exchange.verifying.file import verify_file
from exchange.verifying.mail import read_mail
from tests.exchange.sealing.pgp import PgpPair, gpg, gpg_home, make_pair
from tests.exchange.sealing.province import Province, run

MAIL = (
    b"Received: by mail.a.example (web) with HTTP;\r\n\tSat, 28 Nov 2026 08:00:00 +0700\r\n"
    b"From: =?utf-8?B?VsSDbiB0aMaw?= <vt@a.example>\r\nTo: vt@b.example\r\n"
    b"Subject: =?utf-8?Q?H=E1=BB=8Dp_giao_ban?=\r\nDate: Sat, 28 Nov 2026 08:00:00 +0700\r\n"
    b"Message-ID: <1@a.example>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"S8OtbmggZ+G7rWkuDQo=\r\n"
)


def _signed(province: Province) -> bytes:
    return sign_mail(MAIL, province.a.chain, province.a.sign)


def _sealed(province: Province) -> bytes:
    return encrypt_mail(MAIL, [province.b.encryption], province.a.chain, province.a.sign)


def test_signed(province: Province) -> None:
    data = _signed(province)
    verdict = verify_file(data, "m.eml", anchors=province.anchors)
    assert (verdict.verdict, verdict.official, verdict.problems) == ("TOTAL-PASSED", True, ())
    assert verdict.fields is not None
    assert verdict.fields["Subject"] == "Họp giao ban"
    assert data.startswith(b"Received:")


def test_signed_then_encrypted(province: Province) -> None:
    data = _sealed(province)
    assert b"giao_ban" not in data
    assert b"Subject: [...]\r\n" in data
    read = read_mail(data, province.judging, [province.b.opener])
    assert (read.verdict.verdict, read.verdict.encryption) == ("TOTAL-PASSED", "decrypted")
    assert read.verdict.problems == ()
    assert read.verdict.fields is not None
    assert read.verdict.fields["Subject"] == "Họp giao ban"
    assert read.payload is not None
    assert b"S8OtbmggZ+G7rWkuDQo=" in read.payload
    assert read_mail(data, province.judging, [province.a.opener]).verdict.verdict == "INDETERMINATE"


def test_header_changed_on_the_way(province: Province) -> None:
    data = _signed(province)
    subject = b"Subject: =?utf-8?Q?H=E1=BB=8Dp_giao_ban?=\r\n"
    listed = data.replace(subject, b"Subject: [list] khac\r\n", 1)
    verdict = verify_file(listed, "m.eml", anchors=province.anchors)
    assert verdict.passed
    assert [one["element"] for one in verdict.problems or ()] == ["Subject"]
    forged = data.replace(b"<vt@a.example>", b"<gd@a.example>", 1)
    assert verify_file(forged, "m.eml", anchors=province.anchors).sub_indication == "SIGNER_IS_NOT_SENDER"
    sealed = _sealed(province).replace(b"Subject: [...]", b"Subject: Nop phat ngay")
    changed = verify_file(sealed, "m.eml", anchors=province.anchors, openers=[province.b.opener])
    assert [one["element"] for one in changed.problems or ()] == ["Subject"]


def test_what_was_altered_is_not_given_out(province: Province) -> None:
    """S36: nothing of a letter that was altered, signed or encrypted, is shown."""
    data = _signed(province).replace(b"S8OtbmggZ+G7rWkuDQo=", b"S8OsbmggZ+G7rWkuDQo=")
    read = read_mail(data, province.judging)
    assert (read.verdict.sub_indication, read.payload, read.verdict.fields) == ("HASH_FAILURE", None, None)
    head, _, body = _sealed(province).rpartition(b"\r\n\r\n")
    for at in range(40, len(body), len(body) // 25):
        altered = bytearray(body)
        altered[at] = ord("A") if altered[at] != ord("A") else ord("B")
        read = read_mail(head + b"\r\n\r\n" + bytes(altered), province.judging, [province.b.opener])
        assert read.payload is None or read.verdict.passed or not read.html


def test_openssl_reads_ours(province: Province, folder: Path) -> None:
    (folder / "signed").write_bytes(_signed(province))
    assert (
        run(
            folder, *["openssl", "cms", "-verify", "-in", "signed", "-CAfile", "ca.pem", "-out", "out"]
        ).returncode
        == 0
    )
    (folder / "sealed").write_bytes(_sealed(province))
    assert (
        run(
            folder, *["openssl", "cms", "-decrypt", "-in", "sealed", "-recip", "b.pem", "-out", "inner"]
        ).returncode
        == 0
    )
    assert (
        run(
            folder, *["openssl", "cms", "-verify", "-in", "inner", "-CAfile", "ca.pem", "-out", "out"]
        ).returncode
        == 0
    )
    assert b'hp="cipher"' in (folder / "out").read_bytes()


def _detached(data: bytes, folder: Path) -> None:
    """``content`` and ``sig`` of our multipart/signed."""
    boundary = data.partition(b'boundary="')[2].partition(b'"')[0]
    _, first, second, _ = data.split(b"--" + boundary)
    (folder / "content").write_bytes(first.removeprefix(b"\r\n").removesuffix(b"\r\n"))
    (folder / "sig").write_bytes(base64.b64decode(second.partition(b"\r\n\r\n")[2]))


def test_gpgsm_verifies_ours(province: Province, folder: Path) -> None:
    _detached(_signed(province), folder)
    with gpg_home() as home:
        base = ["gpgsm", "--homedir", str(home), "--batch", "--disable-crl-checks", "--status-fd", "1"]
        root = province.root.certificate
        print_ = root.fingerprint(hashes.SHA1()).hex(":").upper()
        (home / "trustlist.txt").write_text(f"{print_} S\n")
        for one in ("ca.pem", "issuing.pem"):
            assert run(folder, *base, "--import", one).returncode == 0
        done = run(folder, *base, "--verify", "sig", "content")
    assert b"GOODSIG" in done.stdout, done.stderr
    assert b"TRUST_FULLY" in done.stdout, done.stdout


def test_nss_verifies_ours(province: Province, folder: Path) -> None:
    _detached(_signed(province), folder)
    (folder / "db").mkdir()
    assert run(folder, *["certutil", "-N", "-d", "sql:db", "--empty-password"]).returncode == 0
    for name, trust in (("ca", "CT,C,C"), ("issuing", ",,")):
        assert (
            run(
                folder, "certutil", "-A", "-d", "sql:db", "-n", name, "-t", trust, "-i", f"{name}.pem"
            ).returncode
            == 0
        )
    words = ["cmsutil", "-D", "-d", "sql:db", "-i", "sig", "-c", "content", "-h", "0", "-n"]
    assert b"GoodSignature" in _said(run(folder, *words)), run(folder, *words)
    (folder / "content").write_bytes(b"changed")
    assert b"GoodSignature" not in _said(run(folder, *words))


def _said(done: subprocess.CompletedProcess[bytes]) -> bytes:
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with gpg_home() as made:
        yield made


@pytest.fixture(scope="module")
def pair(home: Path) -> PgpPair:
    return make_pair(home, "Văn thư <vt@a.example>")


@pytest.fixture(scope="module")
def partner(home: Path) -> PgpPair:
    return make_pair(home, "Đối tác <vt@b.example>")


def test_pgp_mime(province: Province, home: Path, folder: Path, pair: PgpPair, partner: PgpPair) -> None:
    with OpenPgp.temporary([pair.secret, partner.public]) as ours:
        signed = pgp_sign_mail(MAIL, ours, pair.fingerprint)
        sealed = pgp_encrypt_mail(MAIL, ours, [partner.fingerprint], pair.fingerprint)
    boundary = signed.partition(b'boundary="')[2].partition(b'"')[0]
    _, first, second, _ = signed.split(b"--" + boundary)
    (folder / "content").write_bytes(first.removeprefix(b"\r\n").removesuffix(b"\r\n"))
    (folder / "sig").write_bytes(second.partition(b"\r\n\r\n")[2])
    assert gpg(home, "--verify", str(folder / "sig"), str(folder / "content")).returncode == 0
    done = gpg(
        home,
        "--decrypt",
        data=sealed.partition(b"-----BEGIN PGP")[1] + sealed.partition(b"-----BEGIN PGP")[2],
    )
    assert b"S8OtbmggZ+G7rWkuDQo=" in done.stdout

    verdict = verify_file(signed, "m.eml", anchors=province.anchors, pgp_keys=[pair.public])
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", False)
    verdict = verify_file(sealed, "m.eml", anchors=province.anchors, pgp_keys=[pair.public, partner.secret])
    assert (verdict.verdict, verdict.encryption) == ("TOTAL-PASSED", "decrypted")
    assert verify_file(signed, "m.eml", anchors=province.anchors).verdict == "INDETERMINATE"
    assert (
        verify_file(sealed, "m.eml", anchors=province.anchors, pgp_keys=[pair.public]).encryption == "failed"
    )
    other = signed.replace(b"<vt@a.example>", b"<vt@c.example>")
    assert not verify_file(other, "m.eml", anchors=province.anchors, pgp_keys=[pair.public]).passed
    altered = signed.replace(b"S8OtbmggZ+", b"S8OtbmggZa")
    verdict = verify_file(altered, "m.eml", anchors=province.anchors, pgp_keys=[pair.public])
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "HASH_FAILURE")


def test_openpgp_files(province: Province, home: Path, folder: Path, pair: PgpPair, partner: PgpPair) -> None:
    keys = ["--key", "a.asc", "--key", "b.asc"]
    (folder / "a.asc").write_bytes(pair.public)
    (folder / "b.asc").write_bytes(partner.secret)
    (folder / "f").write_bytes(b"content")
    signature = gpg(home, "--armor", "-u", pair.fingerprint, "--detach-sign", data=b"content").stdout
    (folder / "f.asc").write_bytes(signature)
    words = ("-u", pair.fingerprint, "-r", partner.fingerprint, "-se")
    (folder / "f.pgp").write_bytes(gpg(home, "--armor", *words, data=b"content").stdout)
    program = [sys.executable, "-m", "congvan.main", "verify", "--json"]
    for given, outcome in (
        (["f.asc", "--content", "f", *keys], "TOTAL-PASSED"),
        (["f.asc", "--content", "a.asc", *keys], "TOTAL-FAILED"),
        (["f.pgp", "--output", "out", *keys], "TOTAL-PASSED"),
        (["f.pgp", "--key", "a.asc"], "INDETERMINATE"),
        (["f.asc"], "UNREADABLE"),
    ):
        done = run(folder, *program, *given)
        told = json.loads(done.stdout)
        assert (told["kind"], told["verdict"]) == ("openpgp", outcome), (given, done.stderr)
    assert (folder / "out").read_bytes() == b"content"


def test_what_cannot_be_signed(province: Province) -> None:
    for data in (b"no header", b"From: a@b.example\r\n\r\n\xc3\xa1", b"From a\r\n\r\nx"):
        with pytest.raises(Refused):
            sign_mail(data, province.a.chain, province.a.sign)
