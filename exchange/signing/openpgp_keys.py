# SPDX-License-Identifier: AGPL-3.0-or-later
"""The OpenPGP keys of agencies: with the signer's other keys, P-256, used for nothing else (decisions/0023).

``agency-openpgp:<code>`` certifies itself and signs packets; ``agency-decrypt:<code>~openpgp`` opens them and is put
by, recovered and archived like every decryption key. No private key is ever with gpg.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import asdict

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from config.refusal import Refused
from exchange.sealing.openpgp_wire import POINT, PublicKey, certificate, unwrapped
from exchange.signing.keys import KeyStore
from exchange.signing.requests import Values, bad, octets, plain, text
from exchange.signing.uses import Uses
from exchange.trust.directory import TrustDirectory

_PURPOSES = ("receive", "open")


class OpenPgpOperations:
    """Methods named ``op_<name>`` are the requests."""

    def __init__(self, store: KeyStore, directory: TrustDirectory, uses: Uses) -> None:
        self._store = store
        self._directory = directory
        self._uses = uses

    def op_issue_openpgp(self, request: Values) -> Values:
        """``agency`` {code, name, registry}``, who, renew`` (bool): both keys, published → ``certificate`` (armour)."""
        agency = plain(request, "agency")
        code, name, registry = (text(agency, one) for one in ("code", "name", "registry"))
        renew = request.get("renew") is True
        who = text(request, "who")
        if any(one in name + registry for one in "<>\r\n"):
            raise bad("agency")
        now = int(time.time())
        opening = self._store.make(_opening(code), "service", replacing=renew)
        signing = self._store.make(_signing(code), "service", replacing=renew)
        primary = PublicKey.of(signing, now, signs=True)
        key, _ = self._store.elliptic(_signing(code))
        made = certificate(
            primary,
            PublicKey.of(opening, now, signs=False),
            f"{name} <{registry}>",
            lambda digest: _sign(key, digest),
        )
        self._directory.put_openpgp(code, made)
        told = f"{code} openpgp {primary.fingerprint.hex().upper()}"
        use = self._uses.record("renew" if renew else "issue", _signing(code), who=who, purpose=told)
        return {"certificate": made, "use": asdict(use)}

    def op_sign_openpgp(self, request: Values) -> Values:
        """``code, digest`` (SHA-256 of what an OpenPGP signature covers) → signature (DER)."""
        code, digest = text(request, "code"), octets(request, "digest", 32)
        key, _ = self._store.elliptic(_signing(code))
        use = self._uses.record("sign_openpgp", _signing(code), digest=digest.hex())
        return {"signature": _sign(key, digest), "use": asdict(use)}

    def op_unwrap_openpgp(self, request: Values) -> Values:
        """The session key of a message (RFC 9580 §11.5): ``code, purpose, who, originator, parameters, wrapped`` → ``key``.

        ``mark``: the `key_mark` of an earlier key, "" for the present one.
        """
        code, purpose = text(request, "code"), text(request, "purpose")
        who = text(request, "who") if "who" in request else ""
        mark = str(request.get("mark", ""))
        wrapped, parameters = octets(request, "wrapped"), octets(request, "parameters")
        if purpose not in _PURPOSES or len(wrapped) > 128 or len(parameters) > 128:
            raise bad("wrapped")
        if mark and not re.fullmatch(r"[0-9a-f]{16}", mark):
            raise bad("mark")
        key = self._store.archived(_opening(code), mark)
        digest = hashlib.sha256(wrapped).hexdigest()
        use = self._uses.record("unwrap_openpgp", _opening(code), who=who, purpose=purpose, digest=digest)
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(
                key.curve, octets(request, "originator", POINT)
            )
            shared = key.exchange(ec.ECDH(), point)
        except ValueError:
            raise Refused(
                "does-not-open",
                "Gói tin không mã hóa cho khóa này hoặc đã bị hỏng.",
                "The packet is not encrypted to this key, or it is damaged.",
            ) from None
        return {"key": unwrapped(shared, parameters, wrapped), "use": asdict(use)}


def _signing(code: str) -> str:
    return f"agency-openpgp:{code}"


def _opening(code: str) -> str:
    return f"agency-decrypt:{code}~openpgp"


def _sign(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    return key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
