# SPDX-License-Identifier: AGPL-3.0-or-later
"""Keys in a PKCS #11 token or HSM: P-256, made there and never leaving it (PKCS #11 v2.40).

`TokenKey` is a private key of `cryptography` whose work is done in the token, so nothing else of the signer
knows where a key lies. A token that is pulled out, locked or full gives `Unavailable`: nothing is signed, and
the next request opens a new session.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pkcs11
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11.util.ec import encode_ec_public_key as _spki
from pkcs11.util.ec import encode_named_curve_parameters

from config.refusal import Refused, Unavailable

T = TypeVar("T")
_CURVE = encode_named_curve_parameters("secp256r1")


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Where the token is: the vendor's module, the token's label, the file with its PIN (one line)."""

    module: Path
    label: str
    pin_file: Path


class Token:
    """One token with one session, opened when first needed. Safe to use from several threads."""

    def __init__(self, place: TokenPlace) -> None:
        self._place = place
        self._guard = threading.RLock()
        self._session: Any = None

    def make(self, label: str) -> tuple[ec.EllipticCurvePrivateKey, str]:
        """(a new key, its identity in the token). Raises `Unavailable`."""
        identity = secrets.token_hex(16)

        def work(session: Any) -> ec.EllipticCurvePublicKey:
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: _CURVE}, local=True
            )
            public, _ = parameters.generate_keypair(
                id=bytes.fromhex(identity),
                label=label[:200],
                store=True,
                capabilities=pkcs11.MechanismFlag.SIGN
                | pkcs11.MechanismFlag.VERIFY
                | pkcs11.MechanismFlag.DERIVE,
                private_template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
            )
            return _public(public)

        return TokenKey(self, identity, self.run(work)), identity

    def key(self, identity: str) -> ec.EllipticCurvePrivateKey:
        """The key of this identity. Raises `Unavailable`, `Refused` when the token does not have it."""

        def work(session: Any) -> ec.EllipticCurvePublicKey:
            return _public(
                session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, id=bytes.fromhex(identity))
            )

        return TokenKey(self, identity, self.run(work))

    def remove(self, identity: str) -> None:
        """Destroys a key in the token. Raises `Unavailable`."""

        def work(session: Any) -> None:
            for one in session.get_objects({pkcs11.Attribute.ID: bytes.fromhex(identity)}):
                one.destroy()

        self.run(work)

    def run(self, work: Callable[[Any], T]) -> T:
        """Does ``work`` in the session. Raises `Unavailable` for whatever the token says."""
        with self._guard:
            try:
                if self._session is None:
                    pin = self._place.pin_file.read_text().strip()
                    token = pkcs11.lib(str(self._place.module)).get_token(token_label=self._place.label)
                    try:
                        self._session = token.open(user_pin=pin, rw=True)
                    except pkcs11.UserAlreadyLoggedIn:
                        self._session = token.open(rw=True)
                return work(self._session)
            except pkcs11.NoSuchKey:
                raise Refused(
                    "no-such-key",
                    "Thiết bị khóa không có khóa này.",
                    "The token does not hold this key.",
                ) from None
            except (pkcs11.PKCS11Error, OSError, RuntimeError) as problem:
                self.close()
                raise Unavailable(
                    "token-unavailable",
                    f"Thiết bị khóa (PKCS#11) không trả lời ({type(problem).__name__}). Chưa ký gì; kiểm tra "
                    "thiết bị rồi thử lại.",
                    f"The key token (PKCS#11) does not answer ({type(problem).__name__}). Nothing was signed; "
                    "check the token and try again.",
                ) from problem

    def close(self) -> None:
        """Ends the session; the next use opens another."""
        with self._guard:
            session, self._session = self._session, None
            if session is not None:
                try:
                    session.close()
                except (pkcs11.PKCS11Error, RuntimeError):
                    return


class TokenKey(ec.EllipticCurvePrivateKey):
    """A P-256 private key in the token: signs and agrees, never shows itself."""

    def __init__(self, token: Token, identity: str, public: ec.EllipticCurvePublicKey) -> None:
        self._token = token
        self._identity = identity
        self._public = public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA; the digest is made here, the token signs it. Raises `Unavailable`."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            digest = bytes(data)
        else:
            whole = hashes.Hash(algorithm)
            whole.update(data)
            digest = whole.finalize()
        value = self._token.run(
            lambda session: self._of(session).sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        )
        half = len(value) // 2
        return encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """The shared secret (x coordinate). Raises `Unavailable`."""
        point = peer_public_key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

        def work(session: Any) -> bytes:
            made = self._of(session).derive_key(
                pkcs11.KeyType.GENERIC_SECRET,
                256,
                mechanism=pkcs11.Mechanism.ECDH1_DERIVE,
                mechanism_param=(pkcs11.KDF.NULL, None, point),
                template={pkcs11.Attribute.SENSITIVE: False, pkcs11.Attribute.EXTRACTABLE: True},
            )
            return bytes(made[pkcs11.Attribute.VALUE])

        return self._token.run(work)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public.key_size

    def private_numbers(self) -> NoReturn:
        """The token keeps them."""
        raise _stays()

    def private_bytes(self, *_: Any, **__: Any) -> NoReturn:
        """The token keeps them."""
        raise _stays()

    def __copy__(self) -> TokenKey:
        return self

    def __deepcopy__(self, memo: object) -> TokenKey:
        return self

    def _of(self, session: Any) -> Any:
        return session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=bytes.fromhex(self._identity))


def _public(key: Any) -> ec.EllipticCurvePublicKey:
    found = serialization.load_der_public_key(_spki(key))
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise RuntimeError("no elliptic-curve key")
    return found


def _stays() -> Refused:
    return Refused(
        "key-in-token",
        "Khóa nằm trong thiết bị khóa và không xuất ra được.",
        "The key lies in the token and can't be exported.",
    )
