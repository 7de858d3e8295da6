# SPDX-License-Identifier: AGPL-3.0-or-later
"""PAdES signatures whose private key is elsewhere: begin → somebody signs the attributes → finish.

`begin` gives a `Begun` that can be kept while a person approves (phone, remote service); `finish` puts
the signature value in and asks for the time-stamp (PAdES B-T, EN 319 142-1). Without a time-stamp
authority the file leaves as B-B (DESIGN 4.13). Not for use on an event loop's thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as kept
from typing import Any, TypeAlias

from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfReadError, PdfWriteError
from pyhanko.sign.ades.api import CAdESSignedAttrSpec, GenericCommitment
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import ExternalSigner, PdfSignatureMetadata, PdfSigner
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.stamp import NoOpStampStyle
from pyhanko_certvalidator.registry import SimpleCertificateStore

from config.refusal import Refused, Unavailable
from exchange.signing.pdf.fields import appearance, find, form_font
from exchange.signing.pdf.layout import FONT_NAME, INITIAL, ITALIC_NAME, ORGANISATION, PERSON, kind_of
from exchange.signing.pdf.marks import Mark
from exchange.signing.protocol import PersonApproval, SealApproval, Use
from exchange.signing.signer_client import SignerClient
from exchange.trust.directory import TrustDirectory
from exchange.trust.subject import subject_of

_BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*(0)\s+(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s*\]")
_RESERVED = 2 * 10 * 1024
"""Hexadecimal digits kept for the CMS: certificates, one time-stamp and some room."""

Stamp: TypeAlias = Callable[[bytes], bytes]
"""SHA-256 digest → time-stamp token (DER). Raises `Unavailable` when there is none now."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A file that waits for its signature value.

    ``digest`` is the SHA-256 of everything but the place of the signature, ``signed_attrs`` (DER) is
    what the key has to sign (ECDSA or PKCS #1, SHA-256).
    """

    data: bytes = kept(repr=False)
    digest: bytes
    signed_attrs: bytes
    start: int
    end: int
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A signed PDF, whether a time-stamp is inside (B-T, else B-B), and the use for the ledger."""

    data: bytes = kept(repr=False)
    stamped: bool
    use: Use


def begin(
    data: bytes,
    field: str,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    mark: Mark | None = None,
) -> Begun:
    """Prepares the signature in ``field`` (see `exchange.signing.pdf.layout`) of a prepared file.

    The first signature also certifies when a person gives it: only filling forms and signing may follow
    (DocMDP 2). Initials say so in a signed attribute (`exchange.signing.signed_attributes.INITIALS`).
    Raises `Refused` when the field is missing or signed already.
    """
    try:
        writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        widget = find(writer, field)
        if widget is None or "/V" in widget.field:
            raise _not_prepared()
        if mark is not None:
            font = form_font(writer)
            italic = form_font(writer, ITALIC_NAME)
            fonts = {name: one for name, one in ((FONT_NAME, font), (ITALIC_NAME, italic)) if one is not None}
            appearance(writer, widget, mark.draw(widget.width, widget.height), fonts, mark.pictures)
        personal = kind_of(field) in (PERSON, INITIAL)
        metadata = PdfSignatureMetadata(
            field_name=field,
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            name=subject_of(certificate).name,
            certify=personal and not _signed_before(writer),
            docmdp_permissions=MDPPerm.FILL_FORMS if personal else MDPPerm.NO_CHANGES,
        )
        signer = _external(certificate, chain, 80)
        return asyncio.run(_begin(writer, metadata, signer, certificate, tuple(chain)))
    except (
        PdfReadError,
        PdfWriteError,
        SigningError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
    ) as problem:
        raise _not_prepared() from problem


def finish(begun: Begun, signature: bytes, stamp: Stamp | None = None) -> tuple[bytes, bool]:
    """(the signed file, whether it has a time-stamp): it goes without when ``stamp`` raises `Unavailable`."""
    signer = _external(begun.certificate, begun.chain, signature)
    attributes = cms.CMSAttributes.load(begun.signed_attrs)
    content, stamped = asyncio.run(_content(signer, attributes, stamp))
    out = io.BytesIO(begun.data)
    PreparedByteRangeDigest(begun.digest, begun.start, begun.end).fill_with_cms(out, content)
    return out.getvalue(), stamped


def sign_as_person(
    data: bytes,
    client: SignerClient,
    directory: TrustDirectory,
    approval: PersonApproval,
    mark: Mark | None = None,
    field: str = PERSON,
    stamp: Stamp | None = None,
) -> SignedFile:
    """The person ``approval.by`` signs a prepared file. Raises `Refused`, `Unavailable`."""
    begun = begin_as_person(data, directory, approval.by, mark, field)
    signed = client.sign_person(approval.by, approval, begun.digest, begun.signed_attrs)
    return SignedFile(*finish(begun, signed.signature, stamp or client.timestamp), signed.use)


def begin_as_person(
    data: bytes, directory: TrustDirectory, address: str, mark: Mark | None = None, field: str = PERSON
) -> Begun:
    """`begin` with the certificate of a person. Raises `Refused` when there is none."""
    certificate = directory.certificate_of_person(address)
    if certificate is None:
        raise _no_certificate(address)
    return begin(data, field, certificate, tuple(directory.issuers_of(certificate)), mark)


def begun_before(data: bytes, field: str, directory: TrustDirectory, address: str) -> Begun:
    """What `begin_as_person` gave for ``address``, from its ``data`` that was kept.

    Raises `Refused` when the file is not one that waits for this person's signature in ``field``.
    """
    certificate = directory.certificate_of_person(address)
    if certificate is None:
        raise _no_certificate(address)
    found = list(_BYTE_RANGE.finditer(data))
    if not found:
        raise _not_prepared()
    _, start, end, rest = (int(one) for one in found[-1].groups())
    if not 0 < start < end <= end + rest == len(data) or set(data[start + 1 : end - 1]) != {ord("0")}:
        raise _not_prepared()
    whole = hashlib.sha256(memoryview(data)[:start])
    whole.update(memoryview(data)[end:])
    chain = tuple(directory.issuers_of(certificate))
    attributes = asyncio.run(_attributes(_external(certificate, chain, 80), whole.digest(), field))
    return Begun(data, whole.digest(), attributes, start, end, certificate, chain)


def seal_as_agency(
    data: bytes,
    client: SignerClient,
    directory: TrustDirectory,
    code: str,
    approval: SealApproval,
    mark: Mark | None = None,
    field: str = ORGANISATION,
    stamp: Stamp | None = None,
) -> SignedFile:
    """The agency ``code`` signs a person-signed, numbered file. Raises `Refused`, `Unavailable`."""
    certificate = directory.signing_certificate_of_agency(code)
    if certificate is None:
        raise _no_certificate(code)
    begun = begin(data, field, certificate, tuple(directory.issuers_of(certificate)), mark)
    signed = client.seal_agency(code, approval, begun.digest, begun.signed_attrs)
    return SignedFile(*finish(begun, signed.signature, stamp or client.timestamp), signed.use)


async def _begin(
    writer: IncrementalPdfFileWriter,
    metadata: PdfSignatureMetadata,
    signer: ExternalSigner,
    certificate: x509.Certificate,
    chain: tuple[x509.Certificate, ...],
) -> Begun:
    work: Any = PdfSigner(metadata, signer, stamp_style=NoOpStampStyle())
    prepared, _, out = await work.async_digest_doc_for_signing(
        writer, existing_fields_only=True, bytes_reserved=_RESERVED
    )
    attributes = await _attributes(signer, prepared.document_digest, metadata.field_name or "")
    return Begun(
        data=out.getvalue(),
        digest=prepared.document_digest,
        signed_attrs=attributes,
        start=prepared.reserved_region_start,
        end=prepared.reserved_region_end,
        certificate=certificate,
        chain=chain,
    )


async def _attributes(signer: ExternalSigner, digest: bytes, field: str) -> bytes:
    """The signed attributes (DER): always the same for a digest, a certificate and a kind of field."""
    commitment = GenericCommitment.PROOF_OF_CREATION.asn1 if kind_of(field) == INITIAL else None
    said = PdfCMSSignedAttributes(cades_signed_attrs=CAdESSignedAttrSpec(commitment_type=commitment))
    attributes = await signer.signed_attrs(digest, "sha256", said, use_pades=True)
    return bytes(attributes.dump())


async def _content(
    signer: ExternalSigner, attributes: cms.CMSAttributes, stamp: Stamp | None
) -> tuple[bytes, bool]:
    if stamp is not None:
        try:
            stamped = await signer.async_sign_prescribed_attributes(
                "sha256", attributes, timestamper=Stamper(stamp)
            )
            whole = bytes(stamped.dump())
            if 2 * len(whole) <= _RESERVED:
                return whole, True
        except Unavailable:
            pass  # no time-stamp authority now, or its token has no room: the file leaves as B-B
    plain = await signer.async_sign_prescribed_attributes("sha256", attributes)
    return bytes(plain.dump()), False


class Stamper(TimeStamper):
    """pyHanko's way of asking for a time-stamp."""

    def __init__(self, stamp: Stamp) -> None:
        super().__init__(include_nonce=False)  # type: ignore[no-untyped-call]
        self._stamp = stamp

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        return cms.ContentInfo.load(self._stamp(message_digest))


def _external(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], value: bytes | int
) -> ExternalSigner:
    make: Any = SimpleCertificateStore
    known = make()
    known.register_multiple(_asn1(one) for one in chain)
    return ExternalSigner(_asn1(certificate), known, signature_value=value, embed_roots=False)


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _signed_before(writer: Any) -> bool:
    """Whether a field of the form has a signature already."""
    fields = (one.get_object() for one in writer.root["/AcroForm"]["/Fields"])
    return any("/V" in one and "/FT" in one and one["/FT"] == "/Sig" for one in fields)


def _not_prepared() -> Refused:
    return Refused(
        "not-prepared",
        "Tệp PDF chưa được chuẩn bị để ký, hoặc ô ký này đã ký.",
        "The PDF was not prepared for this signature, or is signed there already.",
    )


def _no_certificate(who: str) -> Refused:
    return Refused(
        "no-certificate",
        f"Chưa có chứng thư ký số cho {who}.",
        f"There is no signing certificate for {who}.",
    )
