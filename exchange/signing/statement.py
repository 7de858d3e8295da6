# SPDX-License-Identifier: AGPL-3.0-or-later
"""Statements an agency signs outside CMS and XML (receipts of a person's act): labelled bytes.

The label stands in front of what is signed, so a statement's signature is good for nothing else.
"""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from config.refusal import Refused

_LABEL = re.compile(r"[a-z][a-z0-9-]{2,40}")


def statement_bytes(label: str, body: bytes) -> bytes:
    """What is signed for ``body``. Raises `Refused` when the label is not lower-case words with hyphens."""
    if not _LABEL.fullmatch(label):
        raise Refused("bad-request", "Nhãn của lời khai không hợp lệ.", "The statement's label is not valid.")
    return b"congvan statement v1\n" + label.encode() + b"\n" + body


def verify_statement(certificate: x509.Certificate, label: str, body: bytes, signature: bytes) -> bool:
    """Whether ``certificate``'s key (EC, SHA-256, DER signature) signed the statement."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, statement_bytes(label, body), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
