# SPDX-License-Identifier: AGPL-3.0-or-later
"""CMS both ways with openssl, and what must be refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.sealing import der, enveloped, recipients, signed
from exchange.sealing.enveloped import decrypt, encrypt, encrypt_for_plain_clients
from exchange.sealing.judging import Judging
from exchange.sealing.recipients import (
    CannotOpen,
    Opener,
    agreement_of,
    opener_of,
    recipient_infos,
    signer_opener,
)
from exchange.sealing.signed import NotCms, is_canonical, sign_detached, verify_signed
from exchange.trust import authority
from tests.exchange.sealing.province import Province, pem_of, run

BODY = b"Content-Type: text/plain\r\n\r\n" + bytes(range(256)) * 40


@pytest.fixture(scope="module")
def rsa_pair(province: Province) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "RSA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(province.issuing.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(province.issuing.key, hashes.SHA256())
    )
    return key, certificate


def test_der_writer() -> None:
    assert der.integer(0) == b"\x02\x01\x00"
    assert der.integer(128) == b"\x02\x02\x00\x80"
    assert der.oid("1.2.840.113549") == bytes.fromhex("06062a864886f70d")
    assert der.tlv(4, b"x" * 200)[:3] == b"\x04\x81\xc8"
    assert der.contents(der.octets(b"x" * 300)) == b"x" * 300
    assert der.time(datetime(2050, 1, 2, tzinfo=UTC)) == b"\x18\x0f20500102000000Z"


def test_openssl_verifies_ours(province: Province, folder: Path) -> None:
    (folder / "s.der").write_bytes(sign_detached(BODY, province.a.chain, province.a.sign))
    (folder / "body").write_bytes(BODY)
    words = "openssl cms -verify -binary -inform DER -in s.der -content body -CAfile ca.pem -out /dev/null"
    assert run(folder, *words.split()).returncode == 0


@pytest.mark.parametrize("options", ["", "-nodetach", "-nodetach -stream", "-noattr", "-keyid"])
def test_we_verify_openssl(province: Province, folder: Path, options: str) -> None:
    (folder / "body").write_bytes(BODY)
    words = f"openssl cms -sign -binary {options} -in body -signer a-sign.pem -certfile issuing.pem -outform DER -out s"
    assert run(folder, *words.split()).returncode == 0
    data = (folder / "s").read_bytes()
    judgement = verify_signed(data, None if "nodetach" in options else BODY, province.judging)
    assert judgement.outcome == "TOTAL-PASSED"
    if "nodetach" in options:
        assert judgement.content == BODY
        with pytest.raises(NotCms):
            verify_signed(data[:-10], None, province.judging)


def test_rsa_signatures(province: Province, rsa_pair: tuple[rsa.RSAPrivateKey, x509.Certificate]) -> None:
    key, certificate = rsa_pair
    chain = (certificate, province.issuing.certificate)
    data = sign_detached(BODY, chain, lambda a: key.sign(a, padding.PKCS1v15(), hashes.SHA256()))
    assert verify_signed(data, BODY, province.judging).outcome == "TOTAL-PASSED"


def test_signature_verdicts(province: Province) -> None:
    data = sign_detached(BODY, province.a.chain, province.a.sign)
    assert verify_signed(data, BODY + b"x", province.judging).sub_indication == "HASH_FAILURE"
    other = sign_detached(BODY, province.a.chain, province.b.sign)
    assert verify_signed(other, BODY, province.judging).sub_indication == "SIG_CRYPTO_FAILURE"
    assert verify_signed(data, BODY, Judging()).outcome == "INDETERMINATE"
    early = sign_detached(BODY, province.a.chain, province.a.sign, datetime.now(UTC) - timedelta(days=1))
    assert verify_signed(early, BODY, province.judging).sub_indication == "NOT_YET_VALID"
    missing = sign_detached(BODY, province.b.chain[:1], province.b.sign)
    assert verify_signed(missing, BODY, province.judging).sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"


def test_every_byte_of_ours_counts(province: Province) -> None:
    data = sign_detached(BODY, province.a.chain, province.a.sign)
    assert is_canonical(data)
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 0x01
        raw = bytes(altered)
        try:
            good = verify_signed(raw, BODY, province.judging).outcome == "TOTAL-PASSED"
        except Refused:
            continue
        assert not (good and is_canonical(raw)), place


@pytest.mark.parametrize("plain", [False, True])
def test_openssl_decrypts_ours(
    province: Province, folder: Path, rsa_pair: tuple[rsa.RSAPrivateKey, x509.Certificate], plain: bool
) -> None:
    key, certificate = rsa_pair
    (folder / "r.pem").write_bytes(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    everyone = [province.a.encryption, certificate, province.b.encryption]
    if plain:
        data = encrypt_for_plain_clients(BODY, everyone)
    else:
        content_key = os.urandom(32)
        data = encrypt(BODY, recipient_infos(everyone, content_key), content_key)
    (folder / "e").write_bytes(data)
    for who in ("a.pem", "b.pem", "r.pem"):
        words = f"openssl cms -decrypt -binary -inform DER -in e -recip {who} -out out"
        assert run(folder, *words.split()).returncode == 0
        assert (folder / "out").read_bytes() == BODY
        assert decrypt(data, [opener_of((folder / who).read_bytes())]).content == BODY
    only_key = Opener(None, opener_of(pem_of(province.b.opening)).unwrap)
    assert decrypt(data, [only_key]).content == BODY
    stranger = province.agency("H12.99", "x@x.example").opener
    with pytest.raises(CannotOpen):
        decrypt(data, [stranger])


@pytest.mark.parametrize("cipher", ["-aes-256-gcm", "-aes256", "-aes128", "-aes-128-gcm"])
@pytest.mark.parametrize("options", ["", "-stream"])
@pytest.mark.parametrize("whom", ["b.pem", "r.pem"])
def test_we_decrypt_openssl(
    province: Province,
    folder: Path,
    rsa_pair: tuple[rsa.RSAPrivateKey, x509.Certificate],
    cipher: str,
    options: str,
    whom: str,
) -> None:
    key, certificate = rsa_pair
    (folder / "r.pem").write_bytes(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    (folder / "body").write_bytes(BODY)
    oaep = ["-keyopt", "rsa_padding_mode:oaep"] if whom == "r.pem" and "gcm" in cipher else []
    words = f"openssl cms -encrypt -binary {cipher} {options} -in body -outform DER -out e -recip {whom}"
    assert run(folder, *words.split(), *oaep).returncode == 0
    opener = opener_of((folder / whom).read_bytes())
    assert decrypt((folder / "e").read_bytes(), [opener]).content == BODY


def test_p384_both_ways(province: Province, folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    certificate = authority.agency_encryption_certificate(
        province.issuing, key.public_key(), agency="Cơ quan", code="H12.38", address="vt@c.example"
    )
    (folder / "c.pem").write_bytes(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    content_key = os.urandom(32)
    sealed = encrypt(BODY, recipient_infos([province.b.encryption, certificate], content_key), content_key)
    (folder / "e").write_bytes(sealed)
    words = "openssl cms -decrypt -binary -inform DER -in e -recip c.pem -out out"
    assert run(folder, *words.split()).returncode == 0
    assert (folder / "out").read_bytes() == BODY
    opener = opener_of((folder / "c.pem").read_bytes())
    assert decrypt(sealed, [opener]).content == BODY
    (folder / "body").write_bytes(BODY)
    words = "openssl cms -encrypt -binary -aes-256-gcm -in body -outform DER -out e -recip c.pem"
    assert run(folder, *words.split()).returncode == 0
    assert decrypt((folder / "e").read_bytes(), [opener]).content == BODY


@pytest.mark.parametrize("options", ["", "-keyopt rsa_padding_mode:pss"])
def test_rsa_signatures_of_openssl(
    province: Province, folder: Path, rsa_pair: tuple[rsa.RSAPrivateKey, x509.Certificate], options: str
) -> None:
    key, certificate = rsa_pair
    (folder / "r.pem").write_bytes(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    (folder / "body").write_bytes(BODY)
    words = f"openssl cms -sign -binary -in body -signer r.pem {options} -certfile issuing.pem -outform DER -out s"
    assert run(folder, *words.split()).returncode == 0
    data = (folder / "s").read_bytes()
    assert verify_signed(data, BODY, province.judging).outcome == "TOTAL-PASSED"
    assert verify_signed(data, BODY + b"x", province.judging).sub_indication == "HASH_FAILURE"


def test_a_sha1_signature_is_weak(province: Province, folder: Path) -> None:
    (folder / "body").write_bytes(BODY)
    words = "openssl cms -sign -binary -md sha1 -in body -signer a-sign.pem -certfile issuing.pem -outform DER -out s"
    assert run(folder, *words.split()).returncode == 0
    judged = verify_signed((folder / "s").read_bytes(), BODY, province.judging)
    assert (judged.outcome, judged.sub_indication) == ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE")


def test_pkcs1_v15_is_refused_for_authenticated(
    province: Province, rsa_pair: tuple[rsa.RSAPrivateKey, x509.Certificate]
) -> None:
    key, certificate = rsa_pair
    content_key = os.urandom(32)
    infos = recipient_infos([certificate], content_key, plain_client=True)
    opener = opener_of(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    with pytest.raises(CannotOpen):
        decrypt(encrypt(BODY, infos, content_key), [opener])


def test_bad_padding_tells_nothing(
    province: Province, rsa_pair: tuple[rsa.RSAPrivateKey, x509.Certificate]
) -> None:
    """A wrong PKCS#1 v1.5 block and a wrong CBC end give the same answer."""
    key, certificate = rsa_pair
    data = bytearray(encrypt_for_plain_clients(BODY, [certificate]))
    opener = opener_of(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    told = set()
    for place in (200, 300, len(data) - 5):
        altered = bytearray(data)
        altered[place] ^= 0xFF
        try:
            decrypt(bytes(altered), [opener])
            told.add("opened")
        except Refused as problem:
            told.add(problem.code)
    assert told <= {"cannot-decrypt", "opened"}


def test_nothing_comes_out_of_an_altered_ciphertext(province: Province) -> None:
    content_key = os.urandom(32)
    data = encrypt(BODY, recipient_infos([province.b.encryption], content_key), content_key)
    for place in range(len(data) - len(BODY) - 40, len(data), 97):
        altered = bytearray(data)
        altered[place] ^= 0x01
        with pytest.raises(Refused):
            decrypt(bytes(altered), [province.b.opener])


def test_the_signer_opens(province: Province) -> None:
    """The key in another process gets the five values of an agreement and gives the content key."""

    class Answer:
        def __init__(self, key: bytes) -> None:
            self.key = key

    class Signer:
        asked: list[str] = []

        def unwrap(
            self,
            code: str,
            purpose: str,
            *,
            originator: bytes,
            shared_info: bytes,
            wrapped: bytes,
            kdf: str = "sha256",
            wrap_bits: int = 256,
            who: str = "",
        ) -> Answer:
            self.asked.append(f"{code} {purpose} {who} {kdf} {wrap_bits}")
            agreed = recipients.Agreement(originator, shared_info, kdf, wrap_bits, wrapped)
            return Answer(recipients._agree(province.b.opening, agreed))

    content_key = os.urandom(32)
    infos = recipient_infos([province.a.encryption, province.b.encryption], content_key)
    signer = Signer()
    opener = signer_opener(signer, "H12.11", province.b.encryption, "open", "vt@b.example")
    assert decrypt(encrypt(BODY, infos, content_key), [opener]).key == content_key
    assert signer.asked == ["H12.11 open vt@b.example sha256 256"]
    with pytest.raises(CannotOpen):
        agreement_of(b"junk")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    with pytest.raises(Refused):
        decrypt(data, [])
    with pytest.raises(Refused):
        verify_signed(data, b"", Judging())
    assert not is_canonical(data)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_damaged_structures(place: int, junk: bytes) -> None:
    province = _PROVINCE
    sealed = encrypt(b"x", recipient_infos([province.b.encryption], b"k" * 32), b"k" * 32)
    note = sign_detached(b"x", province.a.chain, province.a.sign)
    for data in (sealed, note):
        altered = bytearray(data)
        at = place % len(data)
        altered[at : at + len(junk)] = junk
        try:
            if data is sealed:
                enveloped.decrypt(bytes(altered), [province.b.opener])
            else:
                signed.verify_signed(bytes(altered), b"x", province.judging)
        except Refused:
            continue


_PROVINCE = Province()
