# SPDX-License-Identifier: AGPL-3.0-or-later
"""CMS SignedData (RFC 5652 §5): made detached with a key behind a callback, verified in any form.

Signed attributes: content-type, signing-time, message-digest, signing-certificate-v2 (RFC 5035). ECDSA or
RSA PKCS#1 v1.5, SHA-256. asn1crypto reads (BER and indefinite lengths too); ``der`` writes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.judging import (
    CLOCK_SKEW,
    Judging,
    Sign,
    load_certificate,
    signature_is_sound,
    signature_verdict,
)
from exchange.trust.chain import ChainResult
from exchange.trust.verdict import FAILED, INDETERMINATE, Outcome, SignatureVerdict, worst

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_TIME = "1.2.840.113549.1.9.5"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_ECDSA_SHA256, _RSA = "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.1"
MAX_SIGNERS = 10
MAX_CERTIFICATES = 50

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ = tsp  # importing it teaches asn1crypto the attribute signing_certificate_v2


class NotCms(Refused):
    """The bytes are no CMS of the kind expected."""

    def __init__(self, en: str) -> None:
        super().__init__("not-cms", f"Cấu trúc mật mã (CMS) không đọc được: {en}", f"CMS not readable: {en}")


@dataclass(frozen=True, slots=True)
class CmsJudgement:
    """``outcome`` is the worst of all signers; ``content`` the encapsulated content when there is one."""

    outcome: Outcome
    sub_indication: str
    signatures: tuple[SignatureVerdict, ...]
    certificate: x509.Certificate | None
    """The first signer's."""
    content: bytes | None = None
    signing_time: datetime | None = None
    carried: tuple[x509.Certificate, ...] = ()
    path: tuple[x509.Certificate, ...] = ()


def signed_attributes(certificate: x509.Certificate, digest: bytes, at: datetime) -> bytes:
    """The DER SET that is signed. ``digest``: SHA-256 of the content; ``at``: aware, whole seconds used."""
    own = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    values = {
        _CONTENT_TYPE: der.oid(DATA),
        _SIGNING_TIME: der.time(at),
        _MESSAGE_DIGEST: der.octets(digest),
        _SIGNING_CERTIFICATE_V2: der.sequence(der.sequence(der.sequence(der.octets(own)))),
    }
    return der.set_of(*(der.sequence(der.oid(kind), der.set_of(value)) for kind, value in values.items()))


def sign_detached(
    content: bytes, certificates: Sequence[x509.Certificate], signer: Sign, at: datetime | None = None
) -> bytes:
    """A detached signature over ``content`` by the holder of ``certificates[0]``; the rest is its chain.

    ``signer`` gets the DER SET of signed attributes.
    """
    moment = (at or datetime.now(UTC)).replace(microsecond=0)
    attributes = signed_attributes(certificates[0], hashlib.sha256(content).digest(), moment)
    return render_signed(attributes, signer(attributes), certificates)


def render_signed(attributes: bytes, signature: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """The ContentInfo of a detached SignedData with one signer; the same input gives the same bytes."""
    own = certificates[0]
    digest = der.algorithm(_SHA256)
    kind = own.public_key()
    if isinstance(kind, ec.EllipticCurvePublicKey):
        method = der.algorithm(_ECDSA_SHA256)
    elif isinstance(kind, rsa.RSAPublicKey):
        method = der.algorithm(_RSA, der.null())
    else:
        raise Refused("key-kind", "Loại khóa không ký CMS được.", "This kind of key cannot sign CMS.")
    signer_info = der.sequence(
        der.integer(1),
        der.sequence(own.issuer.public_bytes(), der.integer(own.serial_number)),
        digest,
        der.explicit(0, der.contents(attributes)),
        method,
        der.octets(signature),
    )
    bag = sorted(one.public_bytes(Encoding.DER) for one in certificates)
    signed = der.sequence(
        der.integer(1),
        der.set_of(digest),
        der.sequence(der.oid(DATA)),
        der.explicit(0, *bag),
        der.set_of(signer_info),
    )
    return der.sequence(der.oid(SIGNED_DATA), der.explicit(0, signed))


def verify_signed(data: bytes, content: bytes | None, judging: Judging) -> CmsJudgement:
    """Judge a SignedData over ``content`` (``None``: over what it encapsulates). Raises ``NotCms``."""
    signed = _signed_data(data)
    inner = _encapsulated(signed)
    covered = content if content is not None else inner
    if covered is None:
        raise NotCms("there is no content to check against")
    if content is not None and inner is not None and not hmac.compare_digest(content, inner):
        return CmsJudgement(FAILED, "HASH_FAILURE", (), None)
    carried = carried_certificates(signed)
    try:
        infos = list(signed["signer_infos"])[: MAX_SIGNERS + 1]
        if not infos or len(infos) > MAX_SIGNERS:
            raise NotCms("no signer, or too many")
        judged = [_judge(info, covered, carried, judging) for info in infos]
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise NotCms(str(error)[:200]) from None
    outcome = worst(one[0].verdict for one in judged)
    sub = next((one[0].sub_indication for one in judged if one[0].verdict == outcome), "")
    _, certificate, moment, path = judged[0]
    lines = tuple(one[0] for one in judged)
    return CmsJudgement(outcome, sub, lines, certificate, inner, moment, tuple(carried), path)


def is_canonical(data: bytes) -> bool:
    """Whether ``data`` is byte for byte what ``render_signed`` writes for what it says.

    Then nothing in it is unsigned but the carried certificates, and those are each other's issuers.
    """
    try:
        signed = _signed_data(data)
        info = signed["signer_infos"][0]
        carried = carried_certificates(signed)
        own = _signer_certificate(info, carried)
        if own is None:
            return False
        chain, rest = [own], [one for one in carried if one != own]
        while rest:
            parent = next((one for one in rest if one.subject == chain[-1].issuer), None)
            if parent is None:
                return False
            chain[-1].verify_directly_issued_by(parent)
            chain.append(parent)
            rest.remove(parent)
        attributes = _attribute_bytes(info)
        return render_signed(attributes, info["signature"].native, chain) == data
    except (Refused, InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, KeyError, IndexError):
        return False


_Judged = tuple[SignatureVerdict, x509.Certificate | None, datetime | None, tuple[x509.Certificate, ...]]


def _judge(
    info: cms.SignerInfo, content: bytes, carried: list[x509.Certificate], judging: Judging
) -> _Judged:
    certificate = _signer_certificate(info, [*carried, *judging.anchors.intermediates])
    if certificate is None:
        return signature_verdict(None, INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND"), None, None, ()
    moment: datetime | None = None
    chain: ChainResult | None = None
    try:
        moment, sub = _mathematics(info, content, certificate)
    except (ValueError, TypeError, KeyError, OverflowError):
        sub = "FORMAT_FAILURE"
    if sub:
        weak = sub == "CRYPTO_CONSTRAINTS_FAILURE"
        outcome: Outcome = INDETERMINATE if weak else FAILED
    else:
        claimed = moment if moment and moment <= judging.moment(None) + CLOCK_SKEW else None
        chain = judging.chain(certificate, carried, claimed)
        outcome, sub = chain.status, chain.sub_indication
    line = signature_verdict(certificate, outcome, sub, claimed=moment, chain=chain)
    return line, certificate, moment, chain.path if chain else ()


def _mathematics(
    info: cms.SignerInfo, content: bytes, certificate: x509.Certificate
) -> tuple[datetime | None, str]:
    """The claimed time and "" when digest and signature are right, else the sub-indication."""
    name = info["digest_algorithm"]["algorithm"].native
    if name in ("sha1", "md5", "md2"):
        return None, "CRYPTO_CONSTRAINTS_FAILURE"
    digest = _HASHES.get(name)
    if digest is None:
        return None, "FORMAT_FAILURE"
    wanted = hashlib.new(name, content).digest()
    signature = info["signature"].native
    attributes = info["signed_attrs"]
    if not attributes:
        return None, "" if signature_is_sound(certificate, content, signature, digest) else "HASH_FAILURE"
    found: dict[str, list[object]] = {}
    for attribute in attributes:
        if attribute["type"].native in found:
            return None, "FORMAT_FAILURE"
        found[attribute["type"].native] = list(attribute["values"])
    moments = [one.native for one in found.get("signing_time", [])]  # type: ignore[attr-defined]
    moment = moments[0] if len(moments) == 1 and isinstance(moments[0], datetime) else None
    stated = [one.native for one in found.get("message_digest", [])]  # type: ignore[attr-defined]
    if stated != [wanted]:
        return moment, "HASH_FAILURE"
    if "content_type" not in found or not _names(found.get("signing_certificate_v2", []), certificate):
        return moment, "FORMAT_FAILURE"
    if not signature_is_sound(certificate, _attribute_bytes(info), signature, digest):
        return moment, "SIG_CRYPTO_FAILURE"
    return moment, ""


def _names(values: list[object], certificate: x509.Certificate) -> bool:
    """Whether signing-certificate-v2, when there, names ``certificate``."""
    for value in values:
        first = value["certs"][0]  # type: ignore[index]
        name = first["hash_algorithm"]["algorithm"].native
        if hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest() != first["cert_hash"].native:
            return False
    return True


def _attribute_bytes(info: cms.SignerInfo) -> bytes:
    """The signed attributes as the SET that is signed: tag [0] becomes SET."""
    raw: bytes = info["signed_attrs"].dump()
    return b"\x31" + raw[1:]


def _signer_certificate(
    info: cms.SignerInfo, candidates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    sid = info["sid"]
    for one in candidates:
        if sid.name == "issuer_and_serial_number":
            if (
                sid.chosen["serial_number"].native == one.serial_number
                and sid.chosen["issuer"].dump() == one.issuer.public_bytes()
            ):
                return one
        elif sid.chosen.native == _key_identifier(one):
            return one
    return None


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return None


def carried_certificates(signed: cms.SignedData) -> list[x509.Certificate]:
    """The certificates in a SignedData that can be read, in order."""
    found = []
    try:
        for one in list(signed["certificates"] or [])[:MAX_CERTIFICATES]:
            try:
                found.append(load_certificate(one.chosen.dump()))
            except (ValueError, TypeError):
                continue
    except (ValueError, TypeError) as error:
        raise NotCms(str(error)[:200]) from None
    return found


def _signed_data(data: bytes) -> cms.SignedData:
    try:
        info = cms.ContentInfo.load(data, strict=True)
        if info["content_type"].native != "signed_data":
            raise NotCms("it is no SignedData")
        return info["content"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise NotCms(str(error)[:200]) from None


def _encapsulated(signed: cms.SignedData) -> bytes | None:
    try:
        content = signed["encap_content_info"]["content"].native
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotCms(str(error)[:200]) from None
    return content if isinstance(content, bytes) else None
