# SPDX-License-Identifier: AGPL-3.0-or-later
"""Turns a draft into a file ready for its signatures: one clean revision with the four form fields.

All fields must exist before the first signature (else the later ones count as changes), and the locks
are set here: the person's signature locks everything but number, date and the organisation's field, the
organisation's locks everything (FieldMDP ALL, P 1; DESIGN 4.13). Field locks: ISO 32000-2 §12.7.5.5.
"""

from __future__ import annotations

from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfReadError, PdfWriteError
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigFieldSpec, append_signature_field

from config.refusal import Refused
from exchange.signing.pdf.draft import open_draft
from exchange.signing.pdf.layout import (
    DATE,
    FONT_NAME,
    HINT,
    ITALIC_NAME,
    NUMBER,
    ORGANISATION,
    PERSON,
    Box,
    Layout,
    Paper,
    default_layout,
    from_pdf,
)
from exchange.signing.pdf.objects import dictionary, entry, numbers, written
from exchange.signing.pdf.objects import form as form_of
from exchange.signing.pdf.objects import name as pdf_name
from exchange.signing.pdf.typeface import form_face

_SIZE = 13


def prepare(draft: bytes, layout: Layout | None = None) -> bytes:
    """A prepared PDF from a draft. ``layout``: places other than the draft's own or the usual ones.

    Raises `Refused` when the draft can't be signed (codes ``draft-…``).
    """
    reader = open_draft(draft)
    try:
        writer = copy_into_new_writer(reader)
        return _prepared(writer, layout)
    except (
        PdfReadError,
        PdfWriteError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as problem:
        raise Refused(
            "draft-damaged",
            "Tệp PDF bị hỏng hoặc có cấu trúc lạ. Hãy in lại ra PDF.",
            "The PDF is damaged or built strangely. Print it to PDF again.",
        ) from problem


def _prepared(writer: Any, layout: Layout | None) -> bytes:
    root = writer.root
    form = _form(writer, root)
    taken = {str(entry(one.get_object(), "/T")) for one in form["/Fields"]}
    if taken & {NUMBER, DATE, PERSON, ORGANISATION}:
        raise Refused(
            "draft-fields",
            "Tệp PDF đã có ô biểu mẫu trùng tên (so, ngay, nguoi_ky, co_quan). Hãy in lại ra PDF thường.",
            "The PDF already has form fields named so, ngay, nguoi_ky or co_quan. Print it to a plain PDF.",
        )
    pages = _pages(writer)
    papers = [Paper.of(one.get_object()) for one in pages]
    if layout is None and HINT in root:
        layout = from_pdf(root[HINT], len(pages))
    root.pop(HINT, None)
    layout = layout or default_layout(papers[0].size, papers[-1].size)
    fonts = form.setdefault(pdf_name("/DR"), dictionary({})).get_object()
    fonts = fonts.setdefault(pdf_name("/Font"), dictionary({})).get_object()
    fonts[pdf_name(FONT_NAME)] = form_face().embed(writer)
    fonts[pdf_name(ITALIC_NAME)] = form_face("Italic").embed(writer)
    _text_field(writer, form, NUMBER, layout.number, "Số, ký hiệu", FONT_NAME, papers)
    _text_field(writer, form, DATE, layout.date, "Địa danh, ngày tháng năm", ITALIC_NAME, papers)
    free = [NUMBER, DATE, ORGANISATION]
    for name, box, hint, lock, permission in (
        (
            PERSON,
            layout.person,
            "Chữ ký số của người có thẩm quyền",
            FieldMDPSpec(FieldMDPAction.EXCLUDE, free),
            MDPPerm.FILL_FORMS,
        ),
        (
            ORGANISATION,
            layout.organisation,
            "Chữ ký số của cơ quan",
            FieldMDPSpec(FieldMDPAction.ALL),
            MDPPerm.NO_CHANGES,
        ),
    ):
        number = box.page % len(pages)
        spec = SigFieldSpec(
            name,
            on_page=number,
            box=papers[number].place(box),
            field_mdp_spec=lock,
            doc_mdp_update_value=permission,
            readable_field_name=hint,
        )
        append_signature_field(writer, spec)
    for page in pages:
        page.get_object()[pdf_name("/Tabs")] = pdf_name("/S")
    return written(writer)


def _form(writer: Any, root: Any) -> Any:
    form = entry(root, "/AcroForm")
    if form is None:
        form = dictionary({})
        root[pdf_name("/AcroForm")] = writer.add_object(form)
    form.pop("/NeedAppearances", None)
    form.setdefault(pdf_name("/Fields"), generic.ArrayObject())
    return form


def _pages(writer: Any) -> list[Any]:
    found: list[Any] = []
    stack: list[Any] = [writer.root.raw_get("/Pages")]
    while stack:
        node = stack.pop()
        item = node.get_object()
        if "/Kids" in item:
            stack.extend(reversed(list(list.__iter__(item["/Kids"]))))
        else:
            found.append(node)
    return found


def _text_field(
    writer: Any, form: Any, name: str, box: Box, hint: str, font: str, papers: list[Paper]
) -> None:
    page_number = box.page % len(papers)
    page_ref = writer.find_page_for_modification(page_number)[0]
    page = page_ref.get_object()
    rect = papers[page_number].place(box)
    field = dictionary(
        {
            "/Type": "/Annot",
            "/Subtype": "/Widget",
            "/FT": "/Tx",
            "/T": name,
            "/TU": hint,
            "/Rect": numbers(rect),
            "/F": 4,
            "/P": page_ref,
            "/Q": 1,
            "/MaxLen": 120,
            "/DA": generic.pdf_string(f"{font} {_SIZE} Tf 0 g"),
            "/AP": {"/N": writer.add_object(form_of(b"", round(box.width), round(box.height)))},
        }
    )
    reference = writer.add_object(field)
    form["/Fields"].append(reference)
    if "/Annots" in page:
        page["/Annots"].append(reference)
    else:
        page[pdf_name("/Annots")] = generic.ArrayObject([reference])
