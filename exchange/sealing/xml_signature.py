# SPDX-License-Identifier: AGPL-3.0-or-later
"""The XML signature of an edXML file (XML-DSig, W3C Recommendation; DESIGN 4.13).

We write one ``ds:Signature`` as the last child of ``edXMLHeader``: enveloped, exclusive C14N, SHA-256,
one Reference with ``URI=""`` (so it covers the whole file, attachments too), ECDSA or RSA, the chain in
``X509Data``. The key is reached through a callback over the canonical ``SignedInfo``.

XML-DSig does not cover bytes that canonicalisation drops (quotes, blanks inside tags, the KeyInfo). So our
``SignedInfo`` carries ``Id="congvan-1"``, itself signed: such a file must be, byte for byte, what we would
write from the tree and the signature read from it. Then one changed byte anywhere is seen.

Reading: one signature, one Reference with an empty URI, known transforms; SHA-1 is weak, never proof. The
``Signature`` of the samples stands in the QCVN namespace, which is not XML-DSig: it counts as none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from config.clock import to_utc
from config.refusal import Refused
from exchange.edxml import tree
from exchange.edxml.codes import read_moment
from exchange.edxml.model import NAMESPACE
from exchange.sealing.judging import (
    CLOCK_SKEW,
    Judging,
    Sign,
    load_certificate,
    signature_is_sound,
    signature_verdict,
)
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, UNSIGNED, Outcome, SignatureVerdict

DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED = DS + "enveloped-signature"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
STRICT_ID = "congvan-1"
_HEADER = f"{{{NAMESPACE}}}edXMLEnvelope/{{{NAMESPACE}}}edXMLHeader"
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'

_SIGNATURES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    _MORE + "ecdsa-sha256": ("ec", hashes.SHA256()),
    _MORE + "ecdsa-sha384": ("ec", hashes.SHA384()),
    _MORE + "ecdsa-sha512": ("ec", hashes.SHA512()),
    _MORE + "rsa-sha256": ("rsa", hashes.SHA256()),
    _MORE + "rsa-sha384": ("rsa", hashes.SHA384()),
    _MORE + "rsa-sha512": ("rsa", hashes.SHA512()),
}
_DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    _MORE + "sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_WEAK = {
    DS + "rsa-sha1",
    DS + "dsa-sha1",
    DS + "sha1",
    _MORE + "ecdsa-sha1",
    _MORE + "rsa-md5",
    _MORE + "md5",
}


@dataclass(frozen=True, slots=True)
class XmlJudgement:
    """What the check found. ``root`` is the very tree that was digested, its signature taken out."""

    outcome: Outcome
    sub_indication: str
    root: etree._Element
    repaired: bool
    signatures: tuple[SignatureVerdict, ...] = ()
    certificate: x509.Certificate | None = None
    foreign_form: bool = False
    """A ``Signature`` in the QCVN namespace stands there, as in the samples."""


class _Broken(Exception):
    """The signature has not the form it must have; the text says where."""


def sign(data: bytes, certificates: Sequence[x509.Certificate], signer: Sign) -> bytes:
    """``data`` with a signature by the holder of ``certificates[0]`` (the rest: its chain, no anchor needed).

    Raises ``Refused`` when the file cannot be read, needed repair, or is signed already.
    """
    root, repaired = tree.parse(data)
    header = root.find(_HEADER)
    if repaired or header is None:
        raise tree.not_readable("edxml-not-signable", "Tệp edXML phải sửa trước.", "Repair the edXML first.")
    if any(True for _ in root.iter(f"{{{DS}}}Signature")):
        raise Refused("already-signed", "Tệp edXML đã có chữ ký.", "The edXML is signed already.")
    try:
        digest = hashlib.sha256(_canonical(root, EXCLUSIVE)).digest()
    except _Broken:
        raise tree.not_readable(
            "edxml-not-signable", "Không chuẩn hóa được XML.", "The XML has no canonical form."
        ) from None
    method = _method_for(certificates[0])
    signature = etree.fromstring(_render(method, digest, b"", certificates))
    header.append(signature)
    signed_info = signature[0]
    value = signer(_canonical_part(signed_info, EXCLUSIVE))
    signature[1].text = base64.b64encode(_xml_value(certificates[0], value)).decode("ascii")
    return _serialise(root)


def verify(data: bytes, judging: Judging) -> XmlJudgement:
    """Judge the signature of an edXML file. Raises ``Refused`` only for what is no readable edXML."""
    root, repaired = tree.parse(data)
    found = list(root.iter(f"{{{DS}}}Signature"))
    if not found:
        foreign = next(root.iter(f"{{{NAMESPACE}}}Signature"), None) is not None
        return XmlJudgement(UNSIGNED, "", root, repaired, foreign_form=foreign)
    claimed = _claimed(root, judging)
    certificates: list[x509.Certificate] = []
    try:
        certificates = _certificates(found[0])
        _check(root, found, certificates[0], data)
        chain = judging.chain(certificates[0], certificates[1:], None)
        if chain.sub_indication in ("EXPIRED", "REVOKED") and claimed is not None:
            then = judging.chain(certificates[0], certificates[1:], claimed)
            chain = then if then.status != FAILED else chain
        outcome, sub = chain.status, chain.sub_indication
    except _Broken as broken:
        chain, sub = None, str(broken)
        indeterminate = sub in ("NO_SIGNING_CERTIFICATE_FOUND", "CRYPTO_CONSTRAINTS_FAILURE")
        outcome = INDETERMINATE if indeterminate else FAILED
    certificate = certificates[0] if certificates else None
    line = signature_verdict(certificate, outcome, sub, chain=chain)
    _detach(found[0])
    if repaired and outcome == PASSED:
        outcome, sub = INDETERMINATE, "repaired"
    return XmlJudgement(outcome, sub, root, repaired, (line,), certificate)


def _check(
    root: etree._Element, found: list[etree._Element], certificate: x509.Certificate, data: bytes
) -> None:
    signature = found[0]
    if len(found) != 1 or signature.getparent() is not root.find(_HEADER):
        raise _Broken("FORMAT_FAILURE")
    signed_info = _one(signature, "SignedInfo")
    reference = _one(signed_info, "Reference")
    c14n = _one(signed_info, "CanonicalizationMethod").get("Algorithm") or ""
    method = _one(signed_info, "SignatureMethod").get("Algorithm") or ""
    digest_method = _one(reference, "DigestMethod").get("Algorithm") or ""
    if {method, digest_method} & _WEAK:
        raise _Broken(_weak(certificate, signature, signed_info, c14n, method))
    if method not in _SIGNATURES or digest_method not in _DIGESTS or reference.get("URI") != "":
        raise _Broken("FORMAT_FAILURE")
    wanted = _base64(_one(reference, "DigestValue"))
    value = _base64(_one(signature, "SignatureValue"))
    family, digest = _SIGNATURES[method]
    signed = _canonical_part(signed_info, c14n)
    if not signature_is_sound(certificate, signed, _der_value(certificate, family, value), digest):
        raise _Broken("SIG_CRYPTO_FAILURE")
    if signed_info.get("Id") == STRICT_ID and data != _rewritten(root, signature, value, wanted):
        raise _Broken("HASH_FAILURE")
    transform = _transforms(reference)
    parent, place, tail = _detach(signature)
    try:
        covered = _canonical(root, transform)
    finally:
        _attach(parent, place, signature, tail)
    if hashlib.new(_DIGESTS[digest_method], covered).digest() != wanted:
        raise _Broken("HASH_FAILURE")


def _weak(
    certificate: x509.Certificate,
    signature: etree._Element,
    signed_info: etree._Element,
    c14n: str,
    method: str,
) -> str:
    """Why a SHA-1 signature is no proof: too weak, or (as in the samples) not even of this certificate."""
    value = _base64(_one(signature, "SignatureValue"))
    signed = _canonical_part(signed_info, c14n)
    family = "ec" if "ecdsa" in method else "rsa"
    try:
        sound = signature_is_sound(
            certificate,
            signed,
            _der_value(certificate, family, value),
            hashes.SHA1(),  # noqa: S303
        )
    except _Broken:
        sound = False
    return "CRYPTO_CONSTRAINTS_FAILURE" if sound else "NO_SIGNING_CERTIFICATE_FOUND"


def _one(parent: etree._Element, name: str) -> etree._Element:
    found = list(parent.iterchildren(f"{{{DS}}}{name}"))
    if len(found) != 1:
        raise _Broken("FORMAT_FAILURE")
    return found[0]


def _base64(node: etree._Element) -> bytes:
    try:
        return base64.b64decode("".join((node.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Broken("FORMAT_FAILURE") from None


def _transforms(reference: etree._Element) -> str:
    """The canonicalisation named beside the enveloped-signature transform."""
    lists = list(reference.iterchildren(f"{{{DS}}}Transforms"))
    nodes = [node for one in lists for node in one]
    names = [node.get("Algorithm") or "" for node in nodes]
    if len(lists) != 1 or names[:1] != [ENVELOPED] or len(names) > 2 or any(len(node) for node in nodes):
        raise _Broken("FORMAT_FAILURE")
    return names[1] if len(names) == 2 else INCLUSIVE


def _certificates(signature: etree._Element) -> list[x509.Certificate]:
    """The certificates of KeyInfo, the signer's first. Without a readable first one nothing can be judged."""
    found: list[x509.Certificate] = []
    nodes = list(signature.iter(f"{{{DS}}}X509Certificate"))[:10]
    for node in nodes:
        try:
            der = base64.b64decode("".join((node.text or "").split()), validate=True)
            found.append(load_certificate(der))
        except (binascii.Error, ValueError, TypeError):
            break
    if not found:
        raise _Broken("NO_SIGNING_CERTIFICATE_FOUND")
    return found


def _canonical(root: etree._Element, algorithm: str) -> bytes:
    if algorithm not in (EXCLUSIVE, INCLUSIVE):
        raise _Broken("FORMAT_FAILURE")
    try:
        return etree.tostring(
            root.getroottree(), method="c14n", exclusive=algorithm == EXCLUSIVE, with_comments=False
        )
    except etree.C14NError:  # e.g. a relative namespace URI
        raise _Broken("FORMAT_FAILURE") from None


def _canonical_part(node: etree._Element, algorithm: str) -> bytes:
    if algorithm not in (EXCLUSIVE, INCLUSIVE):
        raise _Broken("FORMAT_FAILURE")
    try:
        return _part(node, algorithm)
    except etree.C14NError:
        raise _Broken("FORMAT_FAILURE") from None


def _part(node: etree._Element, algorithm: str) -> bytes:
    if algorithm == EXCLUSIVE:
        return etree.tostring(node, method="c14n", exclusive=True, with_comments=False, with_tail=False)
    scope: Any = node.nsmap  # all prefixes in scope; the stubs know no None
    alone = etree.Element(node.tag, nsmap=scope)
    alone.attrib.update(node.attrib)
    alone.text = node.text
    for child in node:
        alone.append(etree.fromstring(etree.tostring(child, with_tail=False)))
        alone[-1].tail = child.tail
    return etree.tostring(alone, method="c14n", exclusive=False, with_comments=False)


def _method_for(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _MORE + "ecdsa-sha256"
    if isinstance(key, rsa.RSAPublicKey):
        return _MORE + "rsa-sha256"
    raise Refused("key-kind", "Loại khóa không ký XML được.", "This kind of key cannot sign XML.")


def _render(method: str, digest: bytes, value: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """The signature element as we write it: one line, no blanks between elements."""
    chain = "".join(
        f"<ds:X509Certificate>{base64.b64encode(one.public_bytes(Encoding.DER)).decode()}</ds:X509Certificate>"
        for one in certificates
    )
    text = (
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo Id="{STRICT_ID}">'
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/><ds:SignatureMethod Algorithm="{method}"/>'
        f'<ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="{ENVELOPED}"/>'
        f'<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<ds:DigestValue>{base64.b64encode(digest).decode()}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        f"<ds:SignatureValue>{base64.b64encode(value).decode()}</ds:SignatureValue>"
        f"<ds:KeyInfo><ds:X509Data>{chain}</ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    return text.encode("ascii")


def _serialise(root: etree._Element) -> bytes:
    return _DECLARATION + etree.tostring(root, encoding="UTF-8", xml_declaration=False) + b"\n"


def _rewritten(root: etree._Element, signature: etree._Element, value: bytes, digest: bytes) -> bytes:
    """The whole file as we would have written it, from what was read."""
    certificates = _certificates(signature)
    for index, one in enumerate(certificates[1:]):  # a carried certificate nobody needs could hold anything
        try:
            certificates[index].verify_directly_issued_by(one)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            raise _Broken("HASH_FAILURE") from None
    ours = etree.fromstring(_render(_method_for(certificates[0]), digest, value, certificates))
    parent, place, tail = _detach(signature)
    _attach(parent, place, ours, tail)
    written = _serialise(root)
    _detach(ours)
    _attach(parent, place, signature, tail)
    return written


def _detach(node: etree._Element) -> tuple[etree._Element, int, str | None]:
    """Take an element out and leave the text behind it where it is."""
    parent = node.getparent()
    if parent is None:
        raise _Broken("FORMAT_FAILURE")
    place, tail = parent.index(node), node.tail
    if tail:
        before = node.getprevious()
        if before is None:
            parent.text = (parent.text or "") + tail
        else:
            before.tail = (before.tail or "") + tail
        node.tail = None
    parent.remove(node)
    return parent, place, tail


def _attach(parent: etree._Element, place: int, node: etree._Element, tail: str | None) -> None:
    """The inverse of ``_detach``."""
    if tail:
        if place == 0:
            parent.text = (parent.text or "")[: -len(tail)]
        else:
            parent[place - 1].tail = (parent[place - 1].tail or "")[: -len(tail)]
    parent.insert(place, node)
    node.tail = tail


def _xml_value(certificate: x509.Certificate, value: bytes) -> bytes:
    """ECDSA in DER → r ‖ s (XML-DSig 1.1 §6.4.3); RSA as it is."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return value
    r, s = decode_dss_signature(value)
    width = (key.curve.key_size + 7) // 8
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def _der_value(certificate: x509.Certificate, family: str, value: bytes) -> bytes:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and family == "ec":
        width = (key.curve.key_size + 7) // 8
        if len(value) != 2 * width:
            raise _Broken("SIG_CRYPTO_FAILURE")
        return encode_dss_signature(
            int.from_bytes(value[:width], "big"), int.from_bytes(value[width:], "big")
        )
    if isinstance(key, rsa.RSAPublicKey) and family == "rsa":
        return value
    raise _Broken("SIG_CRYPTO_FAILURE")


def _claimed(root: etree._Element, judging: Judging) -> datetime | None:
    """The moment the signed header claims (last Timestamp), ``None`` when there is none or it lies ahead.

    It is the document's, not the signature's, so it counts only when the certificate ended since.
    """
    moments = [read_moment((node.text or "").strip()) for node in root.iter(f"{{{NAMESPACE}}}Timestamp")][
        :100
    ]
    known = [moment for moment in moments if moment is not None]
    if not known:
        return None
    claimed = to_utc(max(known))
    return claimed if claimed <= judging.moment(None) + CLOCK_SKEW else None
