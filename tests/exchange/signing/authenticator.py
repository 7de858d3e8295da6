# SPDX-License-Identifier: AGPL-3.0-or-later
"""A phone's authenticator in a few lines (W3C WebAuthn §6, ES256, attestation “none”): what a browser would give."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import bytes_to_base64url, encode_cbor

from exchange.signing.phone.approval import Assertion

UP, UV, AT = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """One passkey of one person at one host."""

    host: str = "localhost"
    origin: str = "https://localhost"
    count: int = 0
    verified: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def register(self, challenge: bytes) -> str:
        """The registration response as JSON."""
        numbers = self.key.public_key().public_numbers()
        cose = encode_cbor(
            {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        )
        data = self._data(AT) + bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cose
        attestation = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        name = bytes_to_base64url(self.credential)
        return json.dumps(
            {
                "id": name,
                "rawId": name,
                "type": "public-key",
                "response": {
                    "clientDataJSON": bytes_to_base64url(self._client("webauthn.create", challenge)),
                    "attestationObject": bytes_to_base64url(attestation),
                },
            }
        )

    def confirm(self, challenge: bytes) -> Assertion:
        """One gesture."""
        self.count += 1
        client, data = self._client("webauthn.get", challenge), self._data()
        signed = data + hashlib.sha256(client).digest()
        return Assertion(self.credential, client, data, self.key.sign(signed, ec.ECDSA(hashes.SHA256())))

    def _client(self, kind: str, challenge: bytes) -> bytes:
        return json.dumps(
            {
                "type": kind,
                "challenge": bytes_to_base64url(challenge),
                "origin": self.origin,
                "crossOrigin": False,
            }
        ).encode()

    def _data(self, more: int = 0) -> bytes:
        flags = UP | (UV if self.verified else 0) | more
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")
