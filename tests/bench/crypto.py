# SPDX-License-Identifier: AGPL-3.0-or-later
"""``make bench-crypto``: what signing, sealing and verifying cost, beside the bare OpenSSL operations of the same run.

CPU time of one process (``time.process_time``), three rounds, the best of each; ratios are what counts.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exchange.sealing.ber import CHUNK, pieces_of
from exchange.sealing.enveloped import decrypt, encrypt
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.openpgp_packet import OpenPgpSender, build_openpgp_packet, open_openpgp_packet
from exchange.sealing.openpgp_pool import pooled
from exchange.sealing.openpgp_wire import PublicKey, agreement, certificate, session_keys, unwrapped
from exchange.sealing.recipients import opener_of, recipient_infos
from exchange.sealing.sealed_file import seal_file, unseal_file
from exchange.sealing.signed import sign_detached, verify_signed
from exchange.trust.pdf_judge import judge_pdf
from tests.exchange.sealing.pgp import gpg_home, make_pair
from tests.exchange.sealing.province import Province, pem_of
from tests.exchange.verifying.issued import Issued

KIB, MIB = 1024, 1024 * 1024
ROUNDS = 3
SHA256 = ec.ECDSA(hashes.SHA256())
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def cost(work: Callable[[], Any], times: int) -> float:
    """Seconds of CPU for one call: the best of three rounds."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - started) / times)
    return best


def line(name: str, ours: float, bare: float | None = None, wanted: str = "") -> None:
    """One row of the table."""
    ratio = f"{bare / ours:5.0%}" if bare else "     "
    known = f"{bare * 1000:9.3f}" if bare else "         "
    sys.stdout.write(f"{name:46} {ours * 1000:9.3f} {known} {ratio} {1 / ours:8.0f}/s  {wanted}\n")


def main() -> None:
    """Prints the table."""
    sys.stdout.write(f"{'CPU of one core':46} {'ms':>9} {'bare ms':>9} ratio\n")
    province = Province()
    key = rsa.generate_private_key(65537, 3072)
    certificate = _rsa(province, key)
    small, large = os.urandom(100 * KIB), os.urandom(25 * MIB)
    _curve(province, small)
    _rsa3072(province, key, certificate, small)
    _large(province, large)
    _pdf(province)
    _pgp(small)


def _curve(province: Province, data: bytes) -> None:
    a, b = province.a, province.b

    def seal() -> tuple[bytes, bytes]:
        content_key = os.urandom(32)
        signature = sign_detached(data, a.chain, a.sign)
        return signature, encrypt(data, recipient_infos([b.encryption], content_key), content_key)

    def bare() -> None:
        a.signing.sign(data, SHA256)
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        shared = ephemeral.exchange(ec.ECDH(), b.opening.public_key())
        ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keywrap.aes_key_wrap(X963KDF(hashes.SHA256(), 32, b"x" * 40).derive(shared), os.urandom(32))
        AESGCM(os.urandom(32)).encrypt(os.urandom(12), data, None)

    line("sign + seal 100 KiB, P-256", cost(seal, 300), cost(bare, 300), "(at least 60 %)")
    signature, sealed = seal()
    opener = b.opener

    def open_() -> None:
        plain = decrypt(sealed, [opener]).content
        assert verify_signed(signature, plain, province.judging).outcome == "TOTAL-PASSED"

    line("open + verify 100 KiB, P-256", cost(open_, 200), None, "(at least 400/s)")


def _rsa3072(province: Province, key: rsa.RSAPrivateKey, certificate: x509.Certificate, data: bytes) -> None:
    chain = (certificate, province.issuing.certificate)

    def sign(attributes: bytes) -> bytes:
        return key.sign(attributes, padding.PKCS1v15(), hashes.SHA256())

    def seal() -> tuple[bytes, bytes]:
        content_key = os.urandom(32)
        signature = sign_detached(data, chain, sign)
        return signature, encrypt(data, recipient_infos([certificate], content_key), content_key)

    def bare() -> None:
        key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().encrypt(os.urandom(32), OAEP)
        AESGCM(os.urandom(32)).encrypt(os.urandom(12), data, None)

    line("sign + seal 100 KiB, RSA-3072", cost(seal, 50), cost(bare, 50), "(at least 60 %)")
    signature, sealed = seal()
    opener = opener_of(pem_of(key))

    def open_() -> None:
        plain = decrypt(sealed, [opener]).content
        assert verify_signed(signature, plain, province.judging).outcome == "TOTAL-PASSED"

    line("open + verify 100 KiB, RSA-3072", cost(open_, 50), None, "(at least 400/s)")


def _large(province: Province, data: bytes) -> None:
    def bare() -> None:
        hashlib.sha256(data).digest()
        AESGCM(os.urandom(32)).encrypt(os.urandom(12), data, None)

    def seal() -> None:
        content_key = os.urandom(32)
        sign_detached(data, province.a.chain, province.a.sign)
        encrypt(data, recipient_infos([province.b.encryption], content_key), content_key)

    raw = cost(bare, 3)
    line("sign + seal 25 MiB", cost(seal, 3), raw, "(at least 70 %)")
    content_key = os.urandom(32)
    signature = sign_detached(data, province.a.chain, province.a.sign)
    sealed = encrypt(data, recipient_infos([province.b.encryption], content_key), content_key)

    def open_() -> None:
        plain = decrypt(sealed, [province.b.opener]).content
        assert verify_signed(signature, plain, province.judging).outcome == "TOTAL-PASSED"

    line("open + verify 25 MiB", cost(open_, 3), raw)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "f").write_bytes(data)

        def to_file() -> None:
            seal_file(
                folder / "f", folder / "f.p7m", province.a.chain, province.a.sign, [province.b.encryption]
            )

        def from_file() -> None:
            with (folder / "f.p7m").open("rb") as source:
                unseal_file(source, folder / "out", [province.b.opener], province.judging)

        def bare_file() -> None:
            _bare_file(folder / "f", folder / "bare")

        files = cost(bare_file, 3)
        line("the same from file to file: seal", cost(to_file, 3), files, "(bare: read, both, write)")
        line("the same from file to file: open", cost(from_file, 3), files)


def _bare_file(source: Path, target: Path) -> None:
    """A file read once, digested, encrypted, written anew: what no program can do without."""
    digest, buffer = hashlib.sha256(), bytearray(CHUNK + 16)
    encryptor = Cipher(algorithms.AES(os.urandom(32)), modes.GCM(os.urandom(12))).encryptor()
    target.unlink(missing_ok=True)
    with source.open("rb", buffering=0) as plain, target.open("wb", buffering=0) as sealed:
        for piece in pieces_of(plain):
            digest.update(piece)
            sealed.write(memoryview(buffer)[: encryptor.update_into(piece, buffer)])
        encryptor.finalize()


def _pdf(province: Province) -> None:
    pdf = Issued(province).pdf

    def judge() -> None:
        assert judge_pdf(pdf, province.anchors).official

    line("validate a PDF with two signatures, twice each", cost(judge, 3), None, "(at most 200 ms)")


def _pgp(data: bytes) -> None:
    """Wall clock: the work is in gpg's processes."""
    with gpg_home() as home:
        own, partner = make_pair(home, "A <a@a.example>"), make_pair(home, "B <b@b.example>")
    with OpenPgp.temporary([own.secret, partner.secret]) as gpg:
        sealed = gpg.encrypt(data, [partner.fingerprint], own.fingerprint)
        started = time.monotonic()
        for _ in range(10):
            gpg.encrypt(data, [partner.fingerprint], own.fingerprint)
        middle = time.monotonic()
        for _ in range(10):
            gpg.decrypt(sealed)
        line("OpenPGP sign + encrypt 100 KiB (wall)", (middle - started) / 10)
        line("OpenPGP decrypt + verify 100 KiB (wall)", (time.monotonic() - middle) / 10)
    _pgp_packet(data)


def _pgp_packet(data: bytes) -> None:
    """The whole packet mail with our own keys (the signer's part without its socket), homes kept. Wall clock."""
    signing, opening = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    primary = PublicKey.of(signing.public_key(), now, signs=True)
    subkey = PublicKey.of(opening.public_key(), now, signs=False)

    def sign(digest: bytes) -> bytes:
        return signing.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))

    def session_key(message: bytes) -> bytes:
        (one,) = session_keys(message)
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), one.originator)
        return unwrapped(opening.exchange(ec.ECDH(), point), agreement(subkey), one.wrapped)

    gpg = pooled([certificate(primary, subkey, "A <a@a.example>", sign)])
    sender = OpenPgpSender("a@a.example", primary, sign)
    own = [("a@a.example", primary.fingerprint.hex().upper())]
    mail = build_openpgp_packet(data, sender, own, gpg).mail
    started = time.monotonic()
    for _ in range(10):
        build_openpgp_packet(data, sender, own, gpg)
    middle = time.monotonic()
    for _ in range(10):
        assert open_openpgp_packet(mail, session_key, gpg).signature.outcome == "TOTAL-PASSED"
    line("OpenPGP packet of 100 KiB sealed (wall)", (middle - started) / 10)
    line("OpenPGP packet of 100 KiB opened (wall)", (time.monotonic() - middle) / 10)


def _rsa(province: Province, key: rsa.RSAPrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "RSA")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(province.issuing.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(province.issuing.key, hashes.SHA256())
    )


if __name__ == "__main__":
    main()
