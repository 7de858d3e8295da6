# SPDX-License-Identifier: AGPL-3.0-or-later
"""Files of any size: sealed and opened in bounded memory, given out only when they are right."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.refusal import Refused
from exchange.sealing.enveloped import encrypt
from exchange.sealing.packet import build_packet
from exchange.sealing.packet_form import read_mail
from exchange.sealing.recipients import recipient_infos
from exchange.sealing.sealed_file import seal_file, unseal_file
from exchange.verifying.cms import is_cms, verify_cms
from tests.exchange.sealing.province import Province, run

MEGABYTES = int(os.environ.get("CONGVAN_SEALED_MB", "272"))
LIMIT_MB = 256

_IN_A_BOX = f"""
import resource, sys
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from exchange.sealing.judging import Judging
from exchange.sealing.recipients import opener_of
from exchange.sealing.sealed_file import seal_file, unseal_file
from exchange.trust.anchors import Anchors

resource.setrlimit(resource.RLIMIT_AS, ({LIMIT_MB} << 20, {LIMIT_MB} << 20))
here = Path(sys.argv[1])
pem = (here / "a-sign.pem").read_bytes()
key = serialization.load_pem_private_key(pem, None)
chain = [*x509.load_pem_x509_certificates(pem), *x509.load_pem_x509_certificates((here / "issuing.pem").read_bytes())]
to = x509.load_pem_x509_certificates((here / "b.pem").read_bytes())
seal_file(here / "big", here / "big.p7m", chain, lambda a: key.sign(a, ec.ECDSA(hashes.SHA256())), to)
(here / "big").unlink()
judging = Judging(Anchors(tuple(x509.load_pem_x509_certificates((here / "ca.pem").read_bytes()))))
with (here / "big.p7m").open("rb") as source:
    opened, judged = unseal_file(source, here / "out", [opener_of((here / "b.pem").read_bytes())], judging)
assert opened.canonical and judged.outcome == "TOTAL-PASSED", judged
"""


@pytest.mark.timeout(900)
def test_a_file_larger_than_the_memory(province: Province, folder: Path) -> None:
    """The limit is on address space (RLIMIT_AS), so nothing of the file can lie in memory."""
    with (folder / "big").open("wb") as file:
        file.truncate(MEGABYTES << 20)
        file.seek(5 << 20)
        file.write(b"in the middle")
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_BOX, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "out").stat().st_size == MEGABYTES << 20
    with (folder / "out").open("rb") as file:
        file.seek(5 << 20)
        assert file.read(13) == b"in the middle"


def _sealed(province: Province, folder: Path, content: bytes) -> Path:
    (folder / "f").write_bytes(content)
    seal_file(folder / "f", folder / "f.p7m", province.a.chain, province.a.sign, [province.b.encryption])
    return folder / "f.p7m"


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 4099])
def test_openssl_opens_and_verifies(province: Province, folder: Path, content: bytes) -> None:
    _sealed(province, folder, content)
    words = "openssl cms -decrypt -binary -inform DER -in f.p7m -recip b.pem -out f.p7s"
    assert run(folder, *words.split()).returncode == 0
    words = "openssl cms -verify -binary -inform DER -in f.p7s -CAfile ca.pem -out f.out"
    assert run(folder, *words.split()).returncode == 0
    assert (folder / "f.out").read_bytes() == content


def test_nothing_is_left_of_an_altered_file(province: Province, folder: Path) -> None:
    path = _sealed(province, folder, b"secret " * 10_000)
    data = path.read_bytes()
    for place in (len(data) // 2, len(data) - 1):
        path.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
        with path.open("rb") as source, pytest.raises(Refused):
            unseal_file(source, folder / "out", [province.b.opener], province.judging)
    path.write_bytes(data[:-5000])
    with path.open("rb") as source, pytest.raises(Refused):
        unseal_file(source, folder / "out", [province.b.opener], province.judging)
    assert not [one for one in folder.iterdir() if "out" in one.name or "quarantine" in one.name]


def test_a_false_signature_gives_nothing_out(province: Province, folder: Path) -> None:
    (folder / "f").write_bytes(b"content")
    seal_file(folder / "f", folder / "f.p7m", province.a.chain, province.b.sign, [province.b.encryption])
    with (folder / "f.p7m").open("rb") as source:
        verdict = verify_cms(source, province.judging, [province.b.opener], output=folder / "out")
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")
    assert not (folder / "out").exists()


def test_verdicts_on_cms_files(province: Province, folder: Path) -> None:
    path = _sealed(province, folder, b"content")
    assert is_cms(path.read_bytes()[:64])
    with path.open("rb") as source:
        assert verify_cms(source, province.judging).encryption == "failed"
        source.seek(0)
        verdict = verify_cms(source, province.judging, [province.b.opener])
    assert (verdict.verdict, verdict.official, verdict.encryption) == ("TOTAL-PASSED", True, "decrypted")


@pytest.mark.parametrize("kind", ["-aes256", "-aes-256-gcm"])
@pytest.mark.parametrize("content", [b"", b"a note that nobody signed", b"\x30\x03\x02\x01\x05"])
def test_encrypted_but_not_signed(province: Province, folder: Path, kind: str, content: bytes) -> None:
    """UNSIGNED, by openssl with and without a tag; only what a tag covers is given out."""
    (folder / "f").write_bytes(content)
    words = f"openssl cms -encrypt -binary -outform DER -in f {kind} -out f.p7m b.pem"
    assert run(folder, *words.split()).returncode == 0
    with (folder / "f.p7m").open("rb") as source:
        verdict = verify_cms(source, province.judging, [province.b.opener], output=folder / "out")
    assert (verdict.verdict, verdict.encryption, verdict.signatures) == ("UNSIGNED", "decrypted", ())
    assert not verdict.official
    assert (folder / "out").exists() == (kind == "-aes-256-gcm")


def test_the_content_of_a_packet_as_a_file(province: Province, folder: Path) -> None:
    """A saved ``smime.p7m`` holds a multipart/signed: signed, and of an altered one nothing is given out."""
    built = build_packet(b"<edXML/>", province.a.sender, [("vt@b.example", province.b.encryption)])
    sealed = read_mail(built.mail)[1]
    verdict = verify_cms(io.BytesIO(sealed), province.judging, [province.b.opener], output=folder / "out")
    assert (verdict.verdict, verdict.official, verdict.encryption) == ("TOTAL-PASSED", True, "decrypted")
    content = (folder / "out").read_bytes()
    (folder / "out").unlink()
    key = os.urandom(32)
    infos = recipient_infos([province.b.encryption], key)
    altered = encrypt(content.replace(b"Date: ", b"Date:  ", 1), infos, key)
    verdict = verify_cms(io.BytesIO(altered), province.judging, [province.b.opener], output=folder / "out")
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "HASH_FAILURE")
    assert not (folder / "out").exists()
