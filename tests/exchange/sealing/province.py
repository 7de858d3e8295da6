# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small trust world: a root, an issuing authority, agencies with both certificates, a person, a log."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from exchange.receipts.log_key import log_certificate
from exchange.sealing.judging import Judging
from exchange.sealing.packet import Sender
from exchange.sealing.recipients import Opener, opener_of
from exchange.trust import authority as ca
from exchange.trust.anchors import Anchors
from policy.ledger.checkpoint import Key


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key in clear PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Agency:
    """An agency with its two key pairs."""

    code: str
    address: str
    signing: ec.EllipticCurvePrivateKey
    opening: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]
    encryption: x509.Certificate

    def sign(self, data: bytes) -> bytes:
        return self.signing.sign(data, ec.ECDSA(hashes.SHA256()))

    @property
    def sender(self) -> Sender:
        return Sender(self.address, self.chain, self.sign)

    @property
    def opener(self) -> Opener:
        return opener_of(self.key_file)

    @property
    def key_file(self) -> bytes:
        return pem_of(self.opening) + self.encryption.public_bytes(Encoding.PEM)

    @property
    def signing_file(self) -> bytes:
        return pem_of(self.signing) + self.chain[0].public_bytes(Encoding.PEM)


class Province:
    """Everything that is trusted in a test, and helpers for foreign programs."""

    def __init__(self) -> None:
        self.root = ca.make_root("Tỉnh thử - Root CA", "Tỉnh thử")
        self.issuing = ca.make_issuing(self.root, "Tỉnh thử - Issuing CA", "Tỉnh thử")
        self.anchors = Anchors((self.root.certificate,))
        self.judging = Judging(self.anchors)
        self.a = self.agency("H12.01", "vt@a.example")
        self.b = self.agency("H12.11", "vt@b.example")
        self.log = Ed25519PrivateKey.generate()

    def agency(self, code: str, address: str) -> Agency:
        sealing, opening = ca.new_key(), ca.new_key()
        name = f"Cơ quan {code}"
        signs = ca.agency_signing_certificate(
            self.issuing, sealing.public_key(), agency=name, code=code, address=address
        )
        encrypts = ca.agency_encryption_certificate(
            self.issuing, opening.public_key(), agency=name, code=code, address=address
        )
        return Agency(code, address, sealing, opening, (signs, self.issuing.certificate), encrypts)

    @cached_property
    def log_key(self) -> Key:
        return Key("thu.example/ledger", self.log.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @cached_property
    def log_chain(self) -> tuple[x509.Certificate, ...]:
        return (log_certificate(self.issuing, self.log_key, "Tỉnh thử"), self.issuing.certificate)

    def crl_with(self, certificate: x509.Certificate, at: datetime) -> x509.CertificateRevocationList:
        return ca.make_crl(self.issuing, 7, [ca.Revoked(certificate.serial_number, at)], datetime.now(UTC))

    def write_files(self, folder: Path) -> None:
        """ca.pem, issuing.pem, a.pem / b.pem (decryption key and certificate), a-sign.pem."""
        (folder / "ca.pem").write_bytes(self.root.certificate.public_bytes(Encoding.PEM))
        (folder / "issuing.pem").write_bytes(self.issuing.certificate.public_bytes(Encoding.PEM))
        (folder / "a.pem").write_bytes(self.a.key_file)
        (folder / "b.pem").write_bytes(self.b.key_file)
        (folder / "a-sign.pem").write_bytes(self.a.signing_file)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """A foreign program in ``folder``."""
    return subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=60)
