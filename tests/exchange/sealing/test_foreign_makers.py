# SPDX-License-Identifier: AGPL-3.0-or-later
"""Made by gpgsm and by NSS with keys of ours, judged and opened here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs12

from exchange.sealing.enveloped import decrypt
from exchange.sealing.recipients import opener_of
from exchange.sealing.signed import verify_signed
from exchange.trust import authority as ca
from tests.exchange.sealing.pgp import gpg_home
from tests.exchange.sealing.province import Province, pem_of, run

BODY = b"Kinh gui.\r\n"
WORD = "secret"


@pytest.fixture
def pair(province: Province) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """RSA: what both programs take from a PKCS #12 file; it may sign and decrypt."""
    key = rsa.generate_private_key(65537, 2048)
    model = ca.agency_signing_certificate(
        province.issuing, ca.new_key().public_key(), agency="A", code="H12.01", address="vt@a.example"
    )
    builder = x509.CertificateBuilder().subject_name(model.subject).issuer_name(model.issuer)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(model.not_valid_before_utc).not_valid_after(model.not_valid_after_utc)
    usage = x509.KeyUsage(True, True, True, False, False, False, False, False, False)
    builder = builder.add_extension(usage, True)
    names = model.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    made = builder.add_extension(names.value, False).sign(province.issuing.key, hashes.SHA256())
    return key, made


def _file(province: Province, pair: tuple[rsa.RSAPrivateKey, x509.Certificate], folder: Path) -> None:
    """k.p12 with key and chain."""
    key, certificate = pair
    chain = [province.issuing.certificate, province.root.certificate]
    old = PrivateFormat.PKCS12.encryption_builder()  # the only one that gpgsm 2.2 reads
    old = old.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1())
    data = pkcs12.serialize_key_and_certificates(b"own", key, certificate, chain, old.build(WORD.encode()))
    (folder / "k.p12").write_bytes(data)
    (folder / "body").write_bytes(BODY)


def test_gpgsm(province: Province, folder: Path, pair: tuple[rsa.RSAPrivateKey, x509.Certificate]) -> None:
    _file(province, pair, folder)
    key, certificate = pair
    with gpg_home() as home:
        base = ["gpgsm", "--homedir", str(home), "--batch", "--disable-crl-checks"]
        quiet = [*base, "--pinentry-mode", "loopback", "--passphrase-fd", "0"]
        (home / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
        print_ = province.root.certificate.fingerprint(hashes.SHA1()).hex(":").upper()
        (home / "trustlist.txt").write_text(f"{print_} S relax\n")

        def smime(*words: str) -> bytes:
            done = subprocess.run(
                [*quiet, *words],
                cwd=folder,
                input=WORD.encode(),
                capture_output=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        smime("--import", "k.p12")
        smime("--detach-sign", "--output", "sig", "body")
        smime("--encrypt", "--recipient", "vt@a.example", "--output", "sealed", "body")
    judged = verify_signed((folder / "sig").read_bytes(), BODY, province.judging)
    assert judged.outcome == "TOTAL-PASSED"
    own = opener_of(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    assert decrypt((folder / "sealed").read_bytes(), [own]).content == BODY


def test_nss(province: Province, folder: Path, pair: tuple[rsa.RSAPrivateKey, x509.Certificate]) -> None:
    _file(province, pair, folder)
    key, certificate = pair
    (folder / "db").mkdir()
    assert run(folder, "certutil", "-N", "-d", "sql:db", "--empty-password").returncode == 0
    for name, trust in (("ca", "CT,C,C"), ("issuing", ",,")):
        words = ["certutil", "-A", "-d", "sql:db", "-n", name, "-t", trust, "-i", f"{name}.pem"]
        assert run(folder, *words).returncode == 0
    done = run(folder, "pk12util", "-i", "k.p12", "-d", "sql:db", "-W", WORD)
    assert done.returncode == 0, done.stderr
    words = [
        "cmsutil",
        "-S",
        "-T",
        "-G",
        "-H",
        "SHA256",
        "-d",
        "sql:db",
        "-N",
        "own",
        "-i",
        "body",
        "-o",
        "sig",
    ]
    done = run(folder, *words)
    assert done.returncode == 0, done.stderr
    judged = verify_signed((folder / "sig").read_bytes(), BODY, province.judging)
    assert judged.outcome == "TOTAL-PASSED"
    done = run(folder, "cmsutil", "-E", "-d", "sql:db", "-r", "own", "-i", "body", "-o", "sealed")
    assert done.returncode == 0, done.stderr
    own = opener_of(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    assert decrypt((folder / "sealed").read_bytes(), [own]).content == BODY
    assert os.path.getsize(folder / "sealed") > len(BODY)
