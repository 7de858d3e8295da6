# SPDX-License-Identifier: AGPL-3.0-or-later
"""CMS recipients: giving a content key to certificates, and getting it back (RFC 5652 §6.2, RFC 5753).

Elliptic-curve recipients: ECDH, dhSinglePass-stdDH-sha256kdf, aes256-wrap, one ephemeral key each. RSA:
OAEP-SHA-256; PKCS#1 v1.5 only for plain mail programs. The private key may live in the signer:
``signer_opener`` sends it only the five values of an agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.ber import Node

_WRAP = "2.16.840.1.101.3.4.1.45"
_ECDH_SHA256 = "1.3.132.1.11.1"
_EC_PUBLIC_KEY, _RSA = "1.2.840.10045.2.1", "1.2.840.113549.1.1.1"
_OAEP, _MGF1, _SHA256 = "1.2.840.113549.1.1.7", "1.2.840.113549.1.1.8", "2.16.840.1.101.3.4.2.1"
_DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    _SHA256: "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_KTRI, _KARI = 0x30, 0xA1
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
        found = Node.only(info)
        if found.tag != _KARI:
            raise CannotOpen
        return _agreement(found, certificate)
    except (ValueError, KeyError, IndexError):
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
        return _unwrap(key, Node.only(info), certificate)
    except (ValueError, TypeError, KeyError, IndexError, keywrap.InvalidUnwrap, UnsupportedAlgorithm):
        raise CannotOpen from None


def is_for(info: Node, certificate: x509.Certificate | None) -> bool:
    """Whether the recipient is the holder of ``certificate`` (``None``: perhaps). Raises ``ValueError``."""
    if info.tag == _KTRI:
        return certificate is None or _names(info.children()[1], certificate)
    if info.tag == _KARI:
        return certificate is None or any(_names(rid, certificate) for rid, _ in _encrypted_keys(info))
    return False


def by_pkcs1_v15(info: Node) -> bool:
    """Whether the content key is wrapped by RSA PKCS#1 v1.5. Raises ``ValueError``."""
    return info.tag == _KTRI and info.children()[2].children()[0].oid() != _OAEP


def _encrypted_keys(kari: Node) -> list[tuple[Node, bytes]]:
    """(recipient identifier, wrapped key) of a KeyAgreeRecipientInfo (RFC 5652 §6.2.2)."""
    found = []
    for one in kari.children()[-1].must(der.SEQUENCE).children()[:MAX_RECIPIENTS]:
        rid, wrapped = one.children()
        found.append((rid, wrapped.octets()))
    return found


def _names(rid: Node, certificate: x509.Certificate) -> bool:
    """Whether an identifier (RFC 5652 §6.2.1, §6.2.2) is the certificate's."""
    if rid.tag == der.SEQUENCE:
        issuer, serial = rid.children()
        return (
            serial.integer() == certificate.serial_number and issuer.raw == certificate.issuer.public_bytes()
        )
    wanted = rid.content if rid.tag == 0x80 else rid.must(0xA0).children()[0].octets()
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return False
    return wanted == own


def _unwrap(key: PrivateKey, info: Node, certificate: x509.Certificate | None) -> bytes:
    if info.tag == _KTRI and isinstance(key, rsa.RSAPrivateKey):
        _, _, method, wrapped = info.children()
        name, *parameters = method.children()
        if name.oid() == _OAEP:
            return key.decrypt(wrapped.octets(), _oaep(parameters))
        if name.oid() == _RSA:
            return key.decrypt(wrapped.octets(), rsa_padding.PKCS1v15())
    if info.tag == _KARI and isinstance(key, ec.EllipticCurvePrivateKey):
        return _agree(key, _agreement(info, certificate))
    raise CannotOpen


def _oaep(parameters: Sequence[Node]) -> rsa_padding.OAEP:
    """RSAES-OAEP-params (RFC 8017 §A.2.1); what is not there is SHA-1, as the standard says."""
    digest = mask = "sha1"
    for one in parameters[0].children() if parameters else []:
        method = one.children()[0].children()
        if one.tag == 0xA0:
            digest = _DIGESTS[method[0].oid()]
        elif one.tag == 0xA1 and method[0].oid() == _MGF1:
            mask = _DIGESTS[method[1].children()[0].oid()]
        elif one.tag != 0xA2 or (len(method) > 1 and method[1].octets()):
            raise CannotOpen
    return rsa_padding.OAEP(rsa_padding.MGF1(_HASHES[mask]), _HASHES[digest], None)


def _agreement(kari: Node, certificate: x509.Certificate | None) -> Agreement:
    _, originator, *middle, method, _ = kari.children()
    name, wrapping = method.must(der.SEQUENCE).children()
    length = _WRAPS[wrapping.children()[0].oid()]
    public = originator.must(0xA0).children()[0].must(0xA1)
    ukm = middle[0].must(0xA1).children()[0].octets() if middle else None
    mine = [
        wrapped for rid, wrapped in _encrypted_keys(kari) if certificate is None or _names(rid, certificate)
    ]
    shared = _shared_info(wrapping.raw, length, ukm)
    return Agreement(public.children()[1].bits(), shared, _KDFS[name.oid()], length * 8, mine[0])


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


@lru_cache(maxsize=4096)
def _key_of(certificate: x509.Certificate) -> object:
    return certificate.public_key()


def _recipient_info(certificate: x509.Certificate, key: bytes, plain_client: bool) -> bytes:
    public = _key_of(certificate)
    name = der.issuer_and_serial(certificate)
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
    shared = ephemeral.exchange(ec.ECDH(), public)
    wrapping = X963KDF(hashes.SHA256(), 32, _OUR_SHARED_INFO).derive(shared)
    before, between = _around_agreement(certificate, len(point), len(key) + 8)
    return b"".join((before, point, between, keywrap.aes_key_wrap(wrapping, key)))


_OUR_SHARED_INFO = _shared_info(der.algorithm(_WRAP), 32, None)


@lru_cache(maxsize=4096)
def _around_agreement(certificate: x509.Certificate, point: int, wrapped: int) -> tuple[bytes, bytes]:
    """What stands before the ephemeral point and between it and the wrapped key, which ends the structure."""
    ephemeral = der.contents(der.sequence(der.algorithm(_EC_PUBLIC_KEY), der.bits(b"\x04" * point)))
    whole = der.explicit(
        1,
        der.integer(3),
        der.explicit(0, der.explicit(1, ephemeral)),
        der.algorithm(_ECDH_SHA256, der.algorithm(_WRAP)),
        der.sequence(der.sequence(der.issuer_and_serial(certificate), der.octets(bytes(wrapped)))),
    )
    at = whole.index(b"\x04" * point)
    return whole[:at], whole[at + point : -wrapped]
