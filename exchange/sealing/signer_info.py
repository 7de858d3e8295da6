# SPDX-License-Identifier: AGPL-3.0-or-later
"""One SignerInfo (RFC 5652 §5.3): what it says, and whether digest and signature value are right.

Signatures: ECDSA, RSA PKCS#1 v1.5 and PSS, Ed25519 (RFC 8419), over SHA-2. A SHA-1 or MD5 signature is told
apart (weak, never proof). The bytes only; whose certificate it is and whether it holds is judged elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from exchange.sealing import der
from exchange.sealing.ber import Malformed, Node
from exchange.sealing.judging import signature_is_sound

CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
DIGESTS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_WEAK_DIGESTS = {"1.3.14.3.2.26", "1.2.840.113549.2.5", "1.2.840.113549.2.2"}
_PSS = "1.2.840.113549.1.1.10"
_ED25519 = "1.3.101.112"
_METHODS = {
    "1.2.840.113549.1.1.1": "",  # rsaEncryption: the digest is the SignerInfo's
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.10045.2.1": "",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    _PSS: "",
    _ED25519: "",
}
_WEAK_METHODS = {"1.2.840.113549.1.1.5", "1.2.840.113549.1.1.4", "1.2.840.10045.4.1"}
_PREFIX = 4096


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """``attributes`` is the element [0] when there is one; ``digest`` and ``method`` are object identifiers."""

    sid: Node
    digest: str
    attributes: Node | None
    method: str
    signature: bytes
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Content:
    """What was signed: its type, its digests by name, and its first 4 KiB."""

    kind: str
    digests: Mapping[str, bytes]
    beginning: bytes


def read_signer_info(node: Node) -> SignerInfo:
    """Raises ``Malformed``."""
    parts = node.must(der.SEQUENCE).children()
    if len(parts) < 5:
        raise Malformed("signer information")
    _, sid, digest, *rest = parts
    attributes = rest.pop(0) if rest[0].tag == 0xA0 else None
    if len(rest) < 2 or len(rest) > 3 or (len(rest) == 3 and rest[2].tag != 0xA1):
        raise Malformed("signer information")
    method, signature = rest[0].must(der.SEQUENCE), rest[1].octets()
    kind = method.children()[0].oid()
    return SignerInfo(sid, digest.children()[0].oid(), attributes, kind, signature, node.raw)


def certificate_of(info: SignerInfo, candidates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The certificate that the signer's identifier names. Raises ``Malformed``."""
    if info.sid.tag == der.SEQUENCE:
        issuer, serial = info.sid.children()
        number = serial.integer()
        for one in candidates:
            if number == one.serial_number and issuer.raw == one.issuer.public_bytes():
                return one
        return None
    wanted = info.sid.octets(0x80)
    return next((one for one in candidates if _key_identifier(one) == wanted), None)


def attribute_bytes(info: SignerInfo) -> bytes:
    """The signed attributes as the SET that is signed: tag [0] becomes SET (RFC 5652 §5.4)."""
    if info.attributes is None:
        raise Malformed("signed attributes")
    return b"\x31" + info.attributes.raw[1:]


def check(info: SignerInfo, content: Content, certificate: x509.Certificate) -> tuple[datetime | None, str]:
    """The claimed time, and "" when digest and signature are right, else the sub-indication.

    Raises ``ValueError`` for what can't be read.
    """
    if info.digest in _WEAK_DIGESTS or info.method in _WEAK_METHODS:
        return None, "CRYPTO_CONSTRAINTS_FAILURE"
    name = DIGESTS.get(info.digest)
    wanted = content.digests.get(name or "")
    if name is None or wanted is None or _METHODS.get(info.method) not in ("", name):
        return None, "FORMAT_FAILURE"
    if info.attributes is None:
        return None, _without_attributes(info, content, name, certificate)
    found = _attributes(info.attributes)
    moment = found[SIGNING_TIME].time() if SIGNING_TIME in found else None
    stated = found[MESSAGE_DIGEST].octets() if MESSAGE_DIGEST in found else b""
    if not hmac.compare_digest(stated, wanted):
        return moment, "HASH_FAILURE"
    if CONTENT_TYPE not in found or found[CONTENT_TYPE].oid() != content.kind:
        return moment, "FORMAT_FAILURE"
    if SIGNING_CERTIFICATE_V2 in found and not _names(found[SIGNING_CERTIFICATE_V2], certificate):
        return moment, "FORMAT_FAILURE"
    pss = info.method == _PSS
    if not signature_is_sound(certificate, attribute_bytes(info), info.signature, HASHES[name], pss=pss):
        return moment, "SIG_CRYPTO_FAILURE"
    return moment, ""


def _without_attributes(info: SignerInfo, content: Content, name: str, certificate: x509.Certificate) -> str:
    """A signature straight over the content (RFC 5652 §5.4).

    Somebody else's signed attributes, made the content, would carry their signature too: such content is refused.
    """
    if content.beginning[:1] == b"\x31" and der.oid(MESSAGE_DIGEST) in content.beginning:
        return "FORMAT_FAILURE"
    digest = Prehashed(HASHES[name])
    pss = info.method == _PSS
    sound = signature_is_sound(certificate, content.digests[name], info.signature, digest, pss=pss)
    return "" if sound else "HASH_FAILURE"


def _attributes(node: Node) -> dict[str, Node]:
    """Each attribute's one value, by type. Raises ``Malformed`` for one that stands twice or has not one value."""
    found: dict[str, Node] = {}
    for attribute in node.children():
        kind, values = attribute.must(der.SEQUENCE).children()
        inside = values.must(der.SET).children()
        if kind.oid() in found or len(inside) != 1:
            raise Malformed("signed attributes")
        found[kind.oid()] = inside[0]
    return found


def _names(value: Node, certificate: x509.Certificate) -> bool:
    """Whether signing-certificate-v2 (RFC 5035 §3) names ``certificate`` first."""
    own = der.certificate(certificate)
    first = value.must(der.SEQUENCE).children()[0].children()[0].children()
    name = "sha256"
    if first[0].tag == der.SEQUENCE:
        name = DIGESTS.get(first.pop(0).children()[0].oid(), "")
    return bool(name) and hmac.compare_digest(hashlib.new(name, own).digest(), first[0].octets())


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return None
