# SPDX-License-Identifier: AGPL-3.0-or-later
"""Shadow attacks and incremental updates on a sealed PDF, and weak hashes in it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers

from exchange.signing.pdf.layout import ORGANISATION
from exchange.trust.pdf_judge import judge_pdf
from tests.attacks.conftest import seal_of, speaks_plainly
from tests.exchange.signing.house import OFFICE, House

Change = Callable[[Any], None]


def _updated(data: bytes, change: Change) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _page(writer: Any) -> Any:
    return writer.find_page_for_modification(0)[0].get_object()


def hide(writer: Any) -> None:
    """Shadow, hide: a layer that lay over the text is taken away."""
    page = _page(writer)
    page[pdf_name("/Contents")] = writer.add_object(generic.StreamObject(stream_data=b"q Q"))
    writer.update_container(page)


def replace_font(writer: Any) -> None:
    """Shadow, replace: the font is described anew, the text stays and reads otherwise."""
    page = _page(writer)
    fonts = generic.DictionaryObject(
        {
            pdf_name("/F1"): generic.DictionaryObject(
                {
                    pdf_name("/Type"): pdf_name("/Font"),
                    pdf_name("/Subtype"): pdf_name("/Type1"),
                    pdf_name("/BaseFont"): pdf_name("/ZapfDingbats"),
                }
            )
        }
    )
    page[pdf_name("/Resources")] = generic.DictionaryObject({pdf_name("/Font"): fonts})
    writer.update_container(page)


def hide_and_replace(writer: Any) -> None:
    """Shadow, hide and replace: the catalogue points to other pages."""
    page = writer.add_object(
        generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Page"),
                pdf_name("/MediaBox"): generic.ArrayObject(
                    [generic.NumberObject(one) for one in (0, 0, 600, 800)]
                ),
                pdf_name("/Contents"): writer.add_object(generic.StreamObject(stream_data=b"BT ET")),
            }
        )
    )
    pages = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Pages"),
            pdf_name("/Kids"): generic.ArrayObject([page]),
            pdf_name("/Count"): generic.NumberObject(1),
        }
    )
    writer.root[pdf_name("/Pages")] = writer.add_object(pages)
    writer.update_root()


def overlay(writer: Any) -> None:
    """An annotation with an appearance of its own over the text."""
    shape = generic.StreamObject(stream_data=b"1 g 0 0 600 800 re f")
    shape[pdf_name("/Type")] = pdf_name("/XObject")
    shape[pdf_name("/Subtype")] = pdf_name("/Form")
    shape[pdf_name("/BBox")] = generic.ArrayObject([generic.NumberObject(one) for one in (0, 0, 600, 800)])
    note = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/Stamp"),
            pdf_name("/Rect"): generic.ArrayObject([generic.NumberObject(one) for one in (0, 0, 600, 800)]),
            pdf_name("/AP"): generic.DictionaryObject({pdf_name("/N"): writer.add_object(shape)}),
        }
    )
    page = _page(writer)
    kept = list(page["/Annots"]) if "/Annots" in page else []
    page[pdf_name("/Annots")] = generic.ArrayObject([*kept, writer.add_object(note)])
    writer.update_container(page)


def other_appearance(writer: Any) -> None:
    """The appearance of the number's field is swapped, its value stays."""
    for reference in writer.root["/AcroForm"]["/Fields"]:
        field = reference.get_object()
        if field["/T"] == "so":
            shape = generic.StreamObject(stream_data=b"BT (99) Tj ET")
            shape[pdf_name("/Subtype")] = pdf_name("/Form")
            shape[pdf_name("/BBox")] = generic.ArrayObject(
                [generic.NumberObject(one) for one in (0, 0, 9, 9)]
            )
            field[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(shape)})
            writer.update_container(field)


def script(writer: Any) -> None:
    """An action that runs when the file is opened."""
    writer.root[pdf_name("/OpenAction")] = generic.DictionaryObject(
        {pdf_name("/S"): pdf_name("/JavaScript"), pdf_name("/JS"): generic.TextStringObject("app.alert(1)")}
    )
    writer.update_root()


CHANGES: list[Change] = [hide, replace_font, hide_and_replace, overlay, other_appearance, script]
NAMES = [one.__name__ for one in CHANGES]


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_after_the_seal(house: House, issued: bytes, change: Change) -> None:
    verdict = judge_pdf(_updated(issued, change), house.anchors())
    assert (verdict.verdict, verdict.official) == ("TOTAL-FAILED", False)
    assert verdict.sub_indication == "CHANGED_AFTER_SEAL"
    assert speaks_plainly(verdict)


SHUT = [one for one in CHANGES if one is not other_appearance]
"""The number's field is open until the seal: filling it draws its appearance anew."""


@pytest.mark.parametrize("change", SHUT, ids=[one.__name__ for one in SHUT])
def test_between_person_and_seal(house: House, change: Change) -> None:
    """What the person did not see stands under the seal: the person's signature tells."""
    signed = house.person_signs(house.prepared()).data
    sealed = house.seals(house.numbered(_updated(signed, change)), signed).data
    verdict = judge_pdf(sealed, house.anchors())
    assert (verdict.verdict, verdict.official) == ("TOTAL-FAILED", False)
    assert verdict.signatures[0].sub_indication == "ILLEGAL_CHANGES"


@pytest.mark.parametrize("change", SHUT, ids=[one.__name__ for one in SHUT])
def test_after_a_person_alone(house: House, change: Change) -> None:
    signed = house.person_signs(house.prepared()).data
    verdict = judge_pdf(_updated(signed, change), house.anchors())
    assert (verdict.verdict, verdict.official) == ("TOTAL-FAILED", False)


@pytest.mark.parametrize(
    ("digest", "found"),
    [("sha256", ("TOTAL-PASSED", "")), ("sha1", ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE"))],
)
def test_a_seal_made_by_pyhanko(house: House, digest: str, found: tuple[str, str]) -> None:
    """With the agency's own key: sound with SHA-256; with SHA-1 known as a form, weak, never proof."""
    signed = house.person_signs(house.prepared()).data
    key, _ = house.store.elliptic(f"agency-sign:{OFFICE.code}")
    certificate = house.directory.signing_certificate_of_agency(OFFICE.code)
    assert certificate is not None
    verdict = judge_pdf(
        _sealed_by_pyhanko(house.numbered(signed), key, certificate, digest),
        house.anchors().adding(house.directory.anchors().intermediates),
    )
    seal = seal_of(verdict)
    assert (seal.verdict, seal.sub_indication) == found
    assert verdict.official == (found[0] == "TOTAL-PASSED")


def _sealed_by_pyhanko(data: bytes, key: Any, certificate: Any, digest: str) -> bytes:
    from asn1crypto import keys as asn1_keys
    from asn1crypto import x509 as asn1_x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    signer = signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)),
        signing_key=asn1_keys.PrivateKeyInfo.load(
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        ),
        cert_registry=SimpleCertificateStore(),
    )
    meta = signers.PdfSignatureMetadata(
        field_name=ORGANISATION, md_algorithm=digest, subfilter=fields.SigSeedSubFilter.PADES
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    out: io.BytesIO = signers.sign_pdf(writer, meta, signer)
    return out.getvalue()
