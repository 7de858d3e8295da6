# SPDX-License-Identifier: AGPL-3.0-or-later
"""Project Wycheproof against what opens and verifies here (``make wycheproof VECTORS=testvectors_v1``; skipped without).

The vectors go through our own functions: recipients' key agreement and unwrapping, signature checks of a certificate's
key, and opening of AuthEnvelopedData.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key

from config.refusal import Refused
from exchange.sealing import der, recipients
from exchange.sealing.enveloped import AUTH_ENVELOPED, decrypt
from exchange.sealing.judging import signature_is_sound
from exchange.sealing.recipients import Agreement, Opener, recipient_infos
from tests.exchange.sealing.province import Province

VECTORS = Path(os.environ.get("CONGVAN_WYCHEPROOF", "/nonexistent"))
pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors are not here")
SIGNATURES = {
    "ecdsa_secp256r1_sha256_test": False,
    "rsa_signature_3072_sha256_test": False,
    "rsa_pss_2048_sha256_mgf1_32_test": True,
}


def vectors(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(group, test) of a file."""
    told = json.loads((VECTORS / f"{name}.json").read_text())
    for group in told["testGroups"]:
        for test in group["tests"]:
            yield group, test


@pytest.mark.parametrize(("name", "pss"), SIGNATURES.items())
def test_signatures(name: str, pss: bool) -> None:
    count = 0
    for group, test in vectors(name):
        key = load_der_public_key(
            bytes.fromhex(group["publicKeyDer"] if "publicKeyDer" in group else group["publicKeyAsn"])
        )
        holder = cast(x509.Certificate, SimpleNamespace(public_key=lambda key=key: key))
        sound = signature_is_sound(
            holder, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]), hashes.SHA256(), pss=pss
        )
        other_salt = "s_len" in test["comment"] or "salt" in test["comment"]  # the length is not fixed in CMS
        if test["result"] != "acceptable" and not other_salt:
            assert sound == (test["result"] == "valid"), test["tcId"]
            count += 1
    assert count > 50


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=["p256", "p384"])
def test_points(curve: ec.EllipticCurve) -> None:
    """A recipient's key meets only points of its curve; the shared secret is right."""
    count = 0
    for _, test in vectors(f"ecdh_{curve.name}_ecpoint_test"):
        own = ec.derive_private_key(int(test["private"], 16), curve)
        point = bytes.fromhex(test["public"])
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
            shared = own.exchange(ec.ECDH(), peer)
        except ValueError:
            assert test["result"] != "valid", test["tcId"]
            with pytest.raises((ValueError, Refused)):
                recipients._agree(own, Agreement(point, b"", "sha256", 256, b"\0" * 40))
            continue
        assert test["result"] != "invalid", test["tcId"]
        assert shared == bytes.fromhex(test["shared"])
        count += 1
    assert count > 20


def test_oaep() -> None:
    count = 0
    for group, test in vectors("rsa_oaep_2048_sha256_mgf1sha256_test"):
        if test["label"]:
            continue  # CMS has an empty label
        key = load_pem_private_key(group["privateKeyPem"].encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        sha = der.algorithm(recipients._SHA256, der.null())
        mask = der.explicit(1, der.algorithm(recipients._MGF1, sha))
        method = der.algorithm(recipients._OAEP, der.sequence(der.explicit(0, sha), mask))
        name = der.sequence(der.sequence(), der.integer(1))
        info = der.sequence(der.integer(0), name, method, der.octets(bytes.fromhex(test["ct"])))
        try:
            opened = recipients.unwrap_with(key, info)
        except Refused:
            assert test["result"] != "valid", test["tcId"]
            continue
        assert test["result"] != "invalid", test["tcId"]
        assert opened == bytes.fromhex(test["msg"])
        count += 1
    assert count >= 10


def test_gcm(province: Province) -> None:
    """Through a whole AuthEnvelopedData; nonces of other lengths than 12 bytes are refused by form."""
    count = 0
    for group, test in vectors("aes_gcm_test"):
        if group["keySize"] != 256 or test["aad"]:
            continue
        key, nonce, tag = (bytes.fromhex(test[one]) for one in ("key", "iv", "tag"))
        infos = recipient_infos([province.b.encryption], key)
        method = der.algorithm("2.16.840.1.101.3.4.1.46", der.sequence(der.octets(nonce), der.integer(16)))
        content = der.sequence(
            der.oid("1.2.840.113549.1.7.1"), method, der.implicit(0, bytes.fromhex(test["ct"]))
        )
        body = der.sequence(der.integer(0), der.set_of(*infos), content, der.octets(tag))
        sealed = der.sequence(der.oid(AUTH_ENVELOPED), der.explicit(0, body))
        try:
            opened = decrypt(sealed, [Opener(None, province.b.opener.unwrap)]).content
        except Refused:
            assert test["result"] != "valid" or len(nonce) != 12, test["tcId"]
            continue
        assert test["result"] == "valid"
        assert opened == bytes.fromhex(test["msg"])
        count += 1
    assert count >= 10
