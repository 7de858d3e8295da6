# SPDX-License-Identifier: AGPL-3.0-or-later
"""A P-256 key in a PKCS #11 token as a private key of `cryptography`, so nothing else knows where a key lies."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol, TypeVar

import pkcs11
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11.util.ec import encode_ec_public_key as _spki
from pkcs11.util.ec import encode_named_curve_parameters

from config.refusal import Refused

T = TypeVar("T")
_CURVE = encode_named_curve_parameters("secp256r1")


class Runs(Protocol):
    """Does work in a session of the token. Raises `Refused`, `Unavailable`."""

    def __call__(self, work: Any, /) -> Any: ...


class TokenKey(ec.EllipticCurvePrivateKey):
    """A P-256 private key in the token: signs and agrees, never shows itself."""

    def __init__(self, run: Runs, identity: str, public: ec.EllipticCurvePublicKey) -> None:
        self._run = run
        self._identity = identity
        self._public = public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA; the digest is made here, the token signs it. Raises `Refused`, `Unavailable`."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            digest = bytes(data)
        else:
            whole = hashes.Hash(algorithm)
            whole.update(data)
            digest = whole.finalize()
        value: bytes = self._run(
            lambda session: self._of(session).sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        )
        half = len(value) // 2
        return encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """The shared secret (x coordinate). Raises `Refused`, `Unavailable`."""
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

        secret: bytes = self._run(work)
        return secret

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


def make_in(session: Any, identity: str, label: str) -> ec.EllipticCurvePublicKey:
    """Makes a key that stays in the token; its public half. Raises what the library raises."""
    parameters = session.create_domain_parameters(
        pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: _CURVE}, local=True
    )
    public, _ = parameters.generate_keypair(
        id=bytes.fromhex(identity),
        label=label[:200],
        store=True,
        capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY | pkcs11.MechanismFlag.DERIVE,
        private_template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
    )
    return _public(public)


def public_in(session: Any, identity: str) -> ec.EllipticCurvePublicKey:
    """The public half of a key in the token. Raises what the library raises."""
    return _public(session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, id=bytes.fromhex(identity)))


def remove_in(session: Any, identity: str) -> None:
    """Destroys a key. Raises what the library raises."""
    for one in session.get_objects({pkcs11.Attribute.ID: bytes.fromhex(identity)}):
        one.destroy()


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
