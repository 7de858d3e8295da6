# SPDX-License-Identifier: AGPL-3.0-or-later
"""CMS recipients: giving a content key to certificates, and getting it back (RFC 5652 §6.2, RFC 5753).

Elliptic-curve recipients: ECDH, dhSinglePass-stdDH-sha256kdf, aes256-wrap, one ephemeral key each. RSA:
OAEP-SHA-256; PKCS#1 v1.5 only for plain mail programs. The private key may live in the signer:
``signer_opener`` sends it only the five values of an agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from asn1crypto import algos, cms, core
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from config.refusal import Refused
from exchange.sealing import der

_WRAP = "2.16.840.1.101.3.4.1.45"
_ECDH_SHA256 = "1.3.132.1.11.1"
_EC_PUBLIC_KEY, _RSA = "1.2.840.10045.2.1", "1.2.840.113549.1.1.1"
_OAEP, _MGF1, _SHA256 = "1.2.840.113549.1.1.7", "1.2.840.113549.1.1.8", "2.16.840.1.101.3.4.2.1"
_KDFS = {
    "1.3.133.16.840.63.0.2": "sha1",  # a key derivation, not a signature; openssl's default
    "1.3.132.1.11.0": "sha224",
    "1.3.132.1.11.1": "sha256",
    "1.3.132.1.11.2": "sha384",
    "1.3.132.1.11.3": "sha512",
}
_WRAPS = {"2.16.840.1.101.3.4.1.5": 16, "2.16.840.1.101.3.4.1.25": 24, _WRAP: 32}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - OAEP's default and openssl's KDF
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
MAX_RECIPIENTS = 3_000
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class CannotOpen(Refused):
    """Not for us, or altered: on purpose one error for all causes."""

    def __init__(self) -> None:
        super().__init__(
            "cannot-decrypt",
            "Không giải mã được: không có khóa phù hợp hoặc gói đã bị sửa.",
            "It cannot be decrypted: no key fits, or it was altered.",
        )


@dataclass(frozen=True, slots=True)
class Opener:
    """Who opens: a certificate (``None``: try every recipient) and what gives the content key.

    ``unwrap`` gets the DER of one RecipientInfo and gives the content key; it raises ``Refused`` when it
    cannot.
    """

    certificate: x509.Certificate | None
    unwrap: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the holder of an ECDH key needs to know of a RecipientInfo to give the content key."""

    originator: bytes
    """The ephemeral public point, uncompressed."""
    shared_info: bytes
    """DER of ECC-CMS-SharedInfo (RFC 5753 §7.2)."""
    kdf: str
    wrap_bits: int
    wrapped: bytes


class _Signer(Protocol):
    def unwrap(
        self,
        code: str,
        purpose: str,
        *,
        originator: bytes,
        shared_info: bytes,
        wrapped: bytes,
        kdf: str = ...,
        wrap_bits: int = ...,
        who: str = ...,
    ) -> _HasKey: ...


class _HasKey(Protocol):
    @property
    def key(self) -> bytes: ...


def opener_of(pem: bytes) -> Opener:
    """An opener from a PEM file with a private key and, better, its certificate. Raises ``Refused``."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused(
            "no-key", "Tệp không có khóa riêng PEM.", "The file holds no PEM private key."
        ) from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise Refused("key-kind", "Loại khóa không giải mã được.", "This kind of key cannot decrypt.")
    certificate = None
    if b"-----BEGIN CERTIFICATE-----" in pem:
        try:
            found = x509.load_pem_x509_certificates(pem)
        except ValueError:
            found = []
        certificate = next((one for one in found if one.public_key() == key.public_key()), None)
    kept = key
    return Opener(certificate, lambda info: unwrap_with(kept, info, certificate))


def signer_opener(
    signer: _Signer, code: str, certificate: x509.Certificate, purpose: str, who: str = ""
) -> Opener:
    """An opener whose key lives in the signer. ``purpose``: ``receive`` or ``open`` (then ``who``: an address)."""

    def unwrap(info: bytes) -> bytes:
        one = agreement_of(info, certificate)
        return signer.unwrap(
            code,
            purpose,
            originator=one.originator,
            shared_info=one.shared_info,
            wrapped=one.wrapped,
            kdf=one.kdf,
            wrap_bits=one.wrap_bits,
            who=who,
        ).key

    return Opener(certificate, unwrap)


def agreement_of(info: bytes, certificate: x509.Certificate | None = None) -> Agreement:
    """The agreement in one RecipientInfo (DER), for ``certificate`` or its first recipient.

    Raises ``CannotOpen``.
    """
    try:
        found = cms.RecipientInfo.load(info, strict=True)
        if found.name != "kari":
            raise CannotOpen
        return _agreement(found.chosen, certificate)
    except (ValueError, TypeError, KeyError, IndexError):
        raise CannotOpen from None


def recipient_infos(
    recipients: Sequence[x509.Certificate], key: bytes, plain_client: bool = False
) -> list[bytes]:
    """The RecipientInfos (DER) that give ``key`` to the holders of ``recipients``."""
    if not recipients or len(recipients) > MAX_RECIPIENTS:
        raise Refused("recipients", "Không có người nhận, hoặc quá nhiều.", "No recipients, or too many.")
    return [_recipient_info(one, key, plain_client) for one in recipients]


def unwrap_with(key: PrivateKey, info: bytes, certificate: x509.Certificate | None = None) -> bytes:
    """The content key in one RecipientInfo (DER) with a private key at hand. Raises ``CannotOpen``."""
    try:
        return _unwrap(key, cms.RecipientInfo.load(info, strict=True), certificate)
    except (ValueError, TypeError, KeyError, IndexError, keywrap.InvalidUnwrap):
        raise CannotOpen from None


def is_for(info: cms.RecipientInfo, certificate: x509.Certificate | None) -> bool:
    """Whether the recipient is the holder of ``certificate`` (``None``: perhaps)."""
    if certificate is None:
        return True
    if info.name == "ktri":
        return _names(info.chosen["rid"], certificate)
    return any(_names(one["rid"], certificate) for one in info.chosen["recipient_encrypted_keys"])


def _names(rid: core.Choice, certificate: x509.Certificate) -> bool:
    if rid.name == "issuer_and_serial_number":
        return bool(
            rid.chosen["serial_number"].native == certificate.serial_number
            and rid.chosen["issuer"].dump() == certificate.issuer.public_bytes()
        )
    wanted = rid.chosen if rid.name == "subject_key_identifier" else rid.chosen["subject_key_identifier"]
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return False
    return bool(wanted.native == own)


def _unwrap(key: PrivateKey, info: cms.RecipientInfo, certificate: x509.Certificate | None) -> bytes:
    if info.name == "ktri" and isinstance(key, rsa.RSAPrivateKey):
        method = info.chosen["key_encryption_algorithm"]
        wrapped = info.chosen["encrypted_key"].native
        if method["algorithm"].native == "rsaes_oaep":
            return key.decrypt(wrapped, _oaep(method["parameters"]))
        if method["algorithm"].native == "rsaes_pkcs1v15":
            return key.decrypt(wrapped, rsa_padding.PKCS1v15())
    if info.name == "kari" and isinstance(key, ec.EllipticCurvePrivateKey):
        return _agree(key, _agreement(info.chosen, certificate))
    raise CannotOpen


def _oaep(parameters: algos.RSAESOAEPParams) -> rsa_padding.OAEP:
    if parameters["p_source_algorithm"]["parameters"].native:
        raise CannotOpen
    digest = _HASHES[parameters["hash_algorithm"]["algorithm"].native]
    mask = _HASHES[parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native]
    return rsa_padding.OAEP(rsa_padding.MGF1(mask), digest, None)


def _agreement(kari: cms.KeyAgreeRecipientInfo, certificate: x509.Certificate | None) -> Agreement:
    method = kari["key_encryption_algorithm"]
    kdf = _KDFS[method["algorithm"].dotted]
    wrap_der: bytes = method["parameters"].dump()
    length = _WRAPS[algos.AlgorithmIdentifier.load(wrap_der, strict=True)["algorithm"].dotted]
    if kari["originator"].name != "originator_key":
        raise CannotOpen
    point = bytes(kari["originator"].chosen["public_key"].contents)[1:]
    keys = list(kari["recipient_encrypted_keys"])[:MAX_RECIPIENTS]
    mine = [one for one in keys if certificate is None or _names(one["rid"], certificate)]
    shared = _shared_info(wrap_der, length, kari["ukm"].native)
    return Agreement(point, shared, kdf, length * 8, mine[0]["encrypted_key"].native)


def _agree(key: ec.EllipticCurvePrivateKey, one: Agreement) -> bytes:
    public = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, one.originator)
    secret = key.exchange(ec.ECDH(), public)
    wrapping = X963KDF(_HASHES[one.kdf], one.wrap_bits // 8, one.shared_info).derive(secret)
    return keywrap.aes_key_unwrap(wrapping, one.wrapped)


def _shared_info(wrap_der: bytes, length: int, ukm: bytes | None) -> bytes:
    """ECC-CMS-SharedInfo (RFC 5753 §7.2)."""
    entity = der.explicit(0, der.octets(ukm)) if ukm is not None else b""
    supplied = der.explicit(2, der.octets((length * 8).to_bytes(4, "big")))
    return der.sequence(wrap_der, entity, supplied)


def _recipient_info(certificate: x509.Certificate, key: bytes, plain_client: bool) -> bytes:
    public = certificate.public_key()
    name = der.sequence(certificate.issuer.public_bytes(), der.integer(certificate.serial_number))
    if isinstance(public, rsa.RSAPublicKey):
        if plain_client:
            method, wrapped = der.algorithm(_RSA, der.null()), public.encrypt(key, rsa_padding.PKCS1v15())
        else:
            sha = der.algorithm(_SHA256, der.null())
            mask = der.explicit(1, der.algorithm(_MGF1, sha))
            method = der.algorithm(_OAEP, der.sequence(der.explicit(0, sha), mask))
            oaep = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
            wrapped = public.encrypt(key, oaep)
        return der.sequence(der.integer(0), name, method, der.octets(wrapped))
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise Refused(
            "key-kind", "Không mã hóa cho loại khóa này.", "This kind of key can't be encrypted to."
        )
    ephemeral = ec.generate_private_key(public.curve)
    point = ephemeral.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    wrap_der = der.algorithm(_WRAP)
    shared = ephemeral.exchange(ec.ECDH(), public)
    wrapping = X963KDF(hashes.SHA256(), 32, _shared_info(wrap_der, 32, None)).derive(shared)
    originator = der.explicit(1, der.contents(der.sequence(der.algorithm(_EC_PUBLIC_KEY), der.bits(point))))
    return der.explicit(
        1,
        der.integer(3),
        der.explicit(0, originator),
        der.algorithm(_ECDH_SHA256, wrap_der),
        der.sequence(der.sequence(name, der.octets(keywrap.aes_key_wrap(wrapping, key)))),
    )
