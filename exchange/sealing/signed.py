# SPDX-License-Identifier: AGPL-3.0-or-later
"""CMS SignedData (RFC 5652 §5): made with a key behind a callback, verified in any form, as a stream.

Signed attributes: content-type, signing-time, message-digest, signing-certificate-v2 (RFC 5035). ECDSA or
RSA PKCS#1 v1.5, SHA-256. Content of any size is digested on its way; what is read whole is small.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from io import BufferedIOBase

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.ber import Buffer, Malformed, Node, Readable, Stream, pieces_of
from exchange.sealing.judging import CLOCK_SKEW, Judging, Sign, load_certificate, signature_verdict
from exchange.sealing.signer_info import (
    CONTENT_TYPE,
    DIGESTS,
    MESSAGE_DIGEST,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    Content,
    SignerInfo,
    attribute_bytes,
    certificate_of,
    check,
    read_signer_info,
)
from exchange.trust.chain import ChainResult
from exchange.trust.verdict import FAILED, INDETERMINATE, Outcome, SignatureVerdict, worst

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_ECDSA_SHA256, _RSA = "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.1"
MAX_SIGNERS = 10
MAX_CERTIFICATES = 50
_MAX_SMALL = 256 * 1024
_MAX_CRL = 8 * 1024 * 1024
_MAX_CRLS = 20
_BEGINNING = 4096


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
    encapsulates: bool = False
    """Whether the content is inside."""
    infos: tuple[bytes, ...] = ()
    """Each SignerInfo as it stood, and what all of them are over: for a second validator."""
    over: Content | None = None


def signed_attributes(certificate: x509.Certificate, digest: bytes, at: datetime) -> bytes:
    """The DER SET that is signed. ``digest``: SHA-256 of the content; ``at``: aware, whole seconds used."""
    return der.set_of(
        _attribute(CONTENT_TYPE, der.oid(DATA)),
        _attribute(SIGNING_TIME, der.time(at)),
        _attribute(MESSAGE_DIGEST, der.octets(digest)),
        _naming(certificate),
    )


@lru_cache(maxsize=4096)
def _naming(certificate: x509.Certificate) -> bytes:
    """The attribute signing-certificate-v2 that names ``certificate``."""
    own = hashlib.sha256(der.certificate(certificate)).digest()
    return _attribute(SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(der.sequence(der.octets(own)))))


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.tlv(der.SET, value))


def sign_detached(
    content: bytes, certificates: Sequence[x509.Certificate], signer: Sign, at: datetime | None = None
) -> bytes:
    """A detached signature over ``content`` by the holder of ``certificates[0]``; the rest is its chain.

    ``signer`` gets the DER SET of signed attributes.
    """
    return sign_digest(hashlib.sha256(content).digest(), certificates, signer, at)


def sign_digest(
    digest: bytes, certificates: Sequence[x509.Certificate], signer: Sign, at: datetime | None = None
) -> bytes:
    """The same over a content whose SHA-256 is ``digest`` (a file digested on its way)."""
    moment = (at or datetime.now(UTC)).replace(microsecond=0)
    attributes = signed_attributes(certificates[0], digest, moment)
    return render_signed(attributes, signer(attributes), certificates)


def render_signed(attributes: bytes, signature: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """The ContentInfo of a detached SignedData with one signer; the same input gives the same bytes."""
    signed = der.sequence(
        der.integer(1),
        der.set_of(der.algorithm(_SHA256)),
        der.sequence(der.oid(DATA)),
        _closing(attributes, signature, certificates),
    )
    return der.sequence(der.oid(SIGNED_DATA), der.explicit(0, signed))


def around(size: int, detached: bytes) -> tuple[bytes, bytes]:
    """(what stands before, what stands behind) a content of ``size`` bytes put into the ``detached`` SignedData."""
    signed = Node.only(detached).children()[1].children()[0].children()
    version, digests, _, *closing = (one.raw for one in signed)
    tail = b"".join(closing)
    inner = der.header(der.OCTET_STRING, size)
    encapsulated = der.oid(DATA) + der.header(0xA0, len(inner) + size) + inner
    before = version + digests + der.header(der.SEQUENCE, len(encapsulated) + size) + encapsulated
    body = der.header(der.SEQUENCE, len(before) + size + len(tail)) + before
    outer = der.oid(SIGNED_DATA) + der.header(0xA0, len(body) + size + len(tail)) + body
    return der.header(der.SEQUENCE, len(outer) + size + len(tail)) + outer, tail


def _closing(attributes: bytes, signature: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates and the signer information: what stands behind the content."""
    own = certificates[0]
    signer_info = der.sequence(
        der.integer(1),
        der.issuer_and_serial(own),
        der.algorithm(_SHA256),
        der.explicit(0, der.contents(attributes)),
        _method_of(own),
        der.octets(signature),
    )
    return _bag(tuple(certificates)) + der.tlv(der.SET, signer_info)


@lru_cache(maxsize=4096)
def _method_of(certificate: x509.Certificate) -> bytes:
    """The signature algorithm of the certificate's key. Raises ``Refused``."""
    kind = certificate.public_key()
    if isinstance(kind, ec.EllipticCurvePublicKey):
        return der.algorithm(_ECDSA_SHA256)
    if isinstance(kind, rsa.RSAPublicKey):
        return der.algorithm(_RSA, der.null())
    raise Refused("key-kind", "Loại khóa không ký CMS được.", "This kind of key cannot sign CMS.")


@lru_cache(maxsize=4096)
def _bag(certificates: tuple[x509.Certificate, ...]) -> bytes:
    return der.explicit(0, *sorted(map(der.certificate, certificates)))


def verify_signed(data: bytes, content: bytes | None, judging: Judging) -> CmsJudgement:
    """Judge a SignedData over ``content`` (``None``: over what it encapsulates). Raises ``NotCms``."""
    target = io.BytesIO()
    over = io.BytesIO(content) if content is not None else None
    judgement = verify_stream(io.BytesIO(data), over, judging, target)
    return replace(judgement, content=target.getvalue() if judgement.encapsulates else None)


def verify_stream(
    source: Readable,
    content: BufferedIOBase | None,
    judging: Judging,
    target: BufferedIOBase | None = None,
) -> CmsJudgement:
    """Judge the SignedData in ``source`` over ``content``, or over what it encapsulates (copied to ``target``).

    What stands in ``target`` is worth what the judgement says. Raises ``NotCms``.
    """
    try:
        signed = _read(Stream(source), target)
        if not 0 < len(signed.infos) <= MAX_SIGNERS:
            raise NotCms("no signer, or too many")
        covered = signed.content
        if content is not None:
            covered = _digested(pieces_of(content), signed.kind, _wanted(signed.infos))
            inside = signed.content.digests if signed.content else {}
            if any(
                not hmac.compare_digest(covered.digests[one], inside[one])
                for one in inside
                if one in covered.digests
            ):
                return CmsJudgement(FAILED, "HASH_FAILURE", (), None)
        if covered is None:
            raise NotCms("there is no content to check against")
        judging = (
            replace(judging, anchors=judging.anchors.adding(crls=signed.crls)) if signed.crls else judging
        )
        judged = [_judge(info, covered, signed.carried, judging) for info in signed.infos]
    except (Malformed, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise NotCms(str(error)[:200] if isinstance(error, Malformed) else "damaged") from None
    outcome = worst(one[0].verdict for one in judged)
    sub = next((one[0].sub_indication for one in judged if one[0].verdict == outcome), "")
    _, certificate, moment, path = judged[0]
    lines = tuple(one[0] for one in judged)
    return CmsJudgement(
        outcome,
        sub,
        lines,
        certificate,
        signing_time=moment,
        carried=tuple(signed.carried),
        path=path,
        encapsulates=signed.content is not None,
        infos=tuple(one.raw for one in signed.infos),
        over=covered,
    )


def is_canonical(data: bytes) -> bool:
    """Whether ``data`` is byte for byte what ``render_signed`` writes for what it says.

    Then nothing in it is unsigned but the carried certificates, and those are each other's issuers.
    """
    try:
        signed = _read(Stream(io.BytesIO(data)), None)
        info = signed.infos[0]
        own = certificate_of(info, signed.carried)
        if own is None:
            return False
        chain, rest = [own], [one for one in signed.carried if one != own]
        while rest:
            parent = next((one for one in rest if one.subject == chain[-1].issuer), None)
            if parent is None:
                return False
            chain[-1].verify_directly_issued_by(parent)
            chain.append(parent)
            rest.remove(parent)
        return render_signed(attribute_bytes(info), info.signature, chain) == data
    except (Refused, InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, KeyError, IndexError):
        return False


def read_signed(source: BufferedIOBase) -> SignedParts:
    """The parts of a SignedData, nothing judged. Raises ``NotCms``, ``ValueError``."""
    return _read(Stream(source), None)


@dataclass(frozen=True, slots=True)
class SignedParts:
    """A SignedData read: ``content`` is what it encapsulates, digested."""

    kind: str
    content: Content | None
    carried: list[x509.Certificate]
    crls: list[x509.CertificateRevocationList]
    infos: list[SignerInfo]


_Judged = tuple[SignatureVerdict, x509.Certificate | None, datetime | None, tuple[x509.Certificate, ...]]


def _judge(info: SignerInfo, content: Content, carried: list[x509.Certificate], judging: Judging) -> _Judged:
    certificate = certificate_of(info, [*carried, *judging.anchors.intermediates])
    if certificate is None:
        return signature_verdict(None, INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND"), None, None, ()
    moment: datetime | None = None
    chain: ChainResult | None = None
    try:
        moment, sub = check(info, content, certificate)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
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


def _read(stream: Stream, target: BufferedIOBase | None) -> SignedParts:
    """The parts of a SignedData. Raises ``Malformed``, ``NotCms``."""
    stream.enter(der.SEQUENCE)
    if stream.whole(64).oid() != SIGNED_DATA:
        raise NotCms("it is no SignedData")
    stream.enter(0xA0)
    stream.enter(der.SEQUENCE)
    stream.whole(64).integer()
    named = [one.children()[0].oid() for one in stream.whole(_MAX_SMALL).must(der.SET).children()]
    stream.enter(der.SEQUENCE)
    kind = stream.whole(64).oid()
    content = None
    if stream.peek() != -1:
        stream.enter(0xA0)
        names = {DIGESTS[one] for one in named if one in DIGESTS}
        content = _digested(_copied(stream.string(der.OCTET_STRING), target), kind, names)
        stream.leave()
    stream.leave()
    carried: list[x509.Certificate] = []
    crls: list[x509.CertificateRevocationList] = []
    infos: list[SignerInfo] = []
    if stream.peek() == 0xA0:
        stream.enter(0xA0)
        while stream.peek() != -1:
            one = stream.whole(_MAX_SMALL)
            if len(carried) < MAX_CERTIFICATES:
                carried += _certificate(one)
        stream.leave()
    if stream.peek() == 0xA1:
        stream.enter(0xA1)
        while stream.peek() != -1:
            one = stream.whole(_MAX_CRL)
            if len(crls) < _MAX_CRLS:
                crls += _crl(one)
        stream.leave()
    stream.enter(der.SET)
    while stream.peek() != -1:
        if len(infos) >= MAX_SIGNERS:
            raise NotCms("no signer, or too many")
        infos.append(read_signer_info(stream.whole(_MAX_SMALL)))
    for _ in range(4):
        stream.leave()
    stream.finish()
    return SignedParts(kind, content, carried, crls, infos)


def _wanted(infos: Iterable[SignerInfo]) -> set[str]:
    return {DIGESTS[one.digest] for one in infos if one.digest in DIGESTS}


def _digested(pieces: Iterable[Buffer], kind: str, names: Iterable[str]) -> Content:
    running = {name: hashlib.new(name) for name in names}
    beginning = b""
    for piece in pieces:
        if len(beginning) < _BEGINNING:
            beginning += bytes(piece[: _BEGINNING - len(beginning)])
        for one in running.values():
            one.update(piece)
    return Content(kind, {name: one.digest() for name, one in running.items()}, beginning)


def _copied(pieces: Iterable[Buffer], target: BufferedIOBase | None) -> Iterator[Buffer]:
    for piece in pieces:
        if target is not None:
            target.write(piece)
        yield piece


def _certificate(node: Node) -> list[x509.Certificate]:
    """The certificate, when it can be read."""
    try:
        return [load_certificate(node.raw)]
    except (ValueError, TypeError):
        return []


def _crl(node: Node) -> list[x509.CertificateRevocationList]:
    try:
        return [x509.load_der_x509_crl(node.raw)]
    except (ValueError, TypeError):
        return []
