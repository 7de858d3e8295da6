# SPDX-License-Identifier: AGPL-3.0-or-later
"""Turns a draft into a file ready for its signatures: one clean revision with its form fields.

All fields must exist before the first signature (else the later ones count as changes), and the locks
are set here: the person's signature locks everything but number, date and the organisation's field, the
organisation's locks everything (FieldMDP ALL, P 1; DESIGN 4.13). Of several organisations (a joint
document) the last one locks everything, those before it all but the fields of the organisations that
follow. Field locks: ISO 32000-2 §12.7.5.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfReadError, PdfWriteError
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigFieldSpec, append_signature_field

from config.refusal import Refused
from exchange.signing.pdf.draft import open_draft
from exchange.signing.pdf.layout import (
    ATTACHMENT,
    DATE,
    FONT_NAME,
    HINT,
    INITIAL,
    ITALIC_NAME,
    MM,
    NUMBER,
    ORGANISATION,
    PERSON,
    Box,
    Layout,
    Paper,
    default_layout,
    from_pdf,
    kind_of,
)
from exchange.signing.pdf.objects import dictionary, entry, numbers, written
from exchange.signing.pdf.objects import form as form_of
from exchange.signing.pdf.objects import name as pdf_name
from exchange.signing.pdf.typeface import form_face

_SIZE = 13
_HINTS = {
    PERSON: "Chữ ký số của người có thẩm quyền",
    ORGANISATION: "Chữ ký số của cơ quan",
    INITIAL: "Ký nháy",
    ATTACHMENT: "Chữ ký số của cơ quan trên phụ lục, bản sao",
}


def prepare(draft: bytes, layout: Layout | None = None) -> bytes:
    """A prepared PDF from a draft. ``layout``: places other than the draft's own or the usual ones.

    Raises `Refused` when the draft can't be signed (codes ``draft-…``).
    """
    return _written_anew(draft, lambda writer: _prepared(writer, layout))


def prepare_attachment(pdf: bytes) -> bytes:
    """An attachment or copy in a file of its own, ready for the organisation's line at the top right of the
    first page (ND30/2020 App. I, II.8.b, III.1.d; Part II I.3). Raises `Refused` as `prepare`.
    """
    return _written_anew(pdf, _prepared_attachment)


def places(draft: bytes) -> tuple[Layout, tuple[tuple[float, float], ...]]:
    """Where the fields of ``draft`` would stand, and the size of each page in points, as seen.

    Raises `Refused` when the draft can't be signed.
    """
    reader: Any = open_draft(draft)
    try:
        root = reader.root
        sizes = tuple(Paper.of(one.get_object()).size for one in _pages(root))
        found = from_pdf(root[HINT], len(sizes)) if HINT in root else None
    except _ODD as problem:
        raise _damaged() from problem
    return found or default_layout(sizes[0], sizes[-1]), sizes


def _written_anew(pdf: bytes, change: Callable[[Any], bytes]) -> bytes:
    reader = open_draft(pdf)
    try:
        return change(copy_into_new_writer(reader))
    except _ODD as problem:
        raise _damaged() from problem


_ODD = (
    PdfReadError,
    PdfWriteError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    RecursionError,
)


def _damaged() -> Refused:
    return Refused(
        "draft-damaged",
        "Tệp PDF bị hỏng hoặc có cấu trúc lạ. Hãy in lại ra PDF.",
        "The PDF is damaged or built strangely. Print it to PDF again.",
    )


def _prepared_attachment(writer: Any) -> bytes:
    root = writer.root
    root.pop(HINT, None)
    form = _form(writer, root)
    _refuse_taken(form)
    pages = _pages(root)
    papers = [Paper.of(one.get_object()) for one in pages]
    _fonts(writer, form)
    width, height = papers[0].size
    box = Box(0, max(20.0, width - 20 * MM - 300), height - 14 * MM, min(300.0, width - 40), 14)
    _signature_field(writer, ATTACHMENT, box, [], papers)
    return written(writer)


def _refuse_taken(form: Any) -> None:
    taken = {str(entry(one.get_object(), "/T")) for one in form["/Fields"]}
    if taken & {NUMBER, DATE} or any(kind_of(one) for one in taken):
        raise Refused(
            "draft-fields",
            "Tệp PDF đã có ô biểu mẫu trùng tên (so, ngay, nguoi_ky, co_quan). Hãy in lại ra PDF thường.",
            "The PDF already has form fields named so, ngay, nguoi_ky or co_quan. Print it to a plain PDF.",
        )


def _fonts(writer: Any, form: Any) -> None:
    """The form's fonts, embedded."""
    fonts = form.setdefault(pdf_name("/DR"), dictionary({})).get_object()
    fonts = fonts.setdefault(pdf_name("/Font"), dictionary({})).get_object()
    fonts[pdf_name(FONT_NAME)] = form_face().embed(writer)
    fonts[pdf_name(ITALIC_NAME)] = form_face("Italic").embed(writer)


def _prepared(writer: Any, layout: Layout | None) -> bytes:
    root = writer.root
    form = _form(writer, root)
    _refuse_taken(form)
    pages = _pages(root)
    papers = [Paper.of(one.get_object()) for one in pages]
    if layout is None and HINT in root:
        layout = from_pdf(root[HINT], len(pages))
    root.pop(HINT, None)
    layout = layout or default_layout(papers[0].size, papers[-1].size)
    _fonts(writer, form)
    _text_field(writer, form, NUMBER, layout.number, "Số, ký hiệu", FONT_NAME, papers)
    _text_field(writer, form, DATE, layout.date, "Địa danh, ngày tháng năm", ITALIC_NAME, papers)
    signatures = layout.signatures()
    for place, (name, box) in enumerate(signatures):
        _signature_field(writer, name, box, [one for one, _ in signatures[place + 1 :]], papers)
    for page in pages:
        page.get_object()[pdf_name("/Tabs")] = pdf_name("/S")
    return written(writer)


def _signature_field(writer: Any, name: str, box: Box, later: list[str], papers: list[Paper]) -> None:
    """A field whose signature locks everything but what comes ``later`` in the order of signing."""
    kind = kind_of(name)
    if kind in (PERSON, INITIAL):
        lock, permission = FieldMDPSpec(FieldMDPAction.EXCLUDE, [NUMBER, DATE, *later]), MDPPerm.FILL_FORMS
    elif later:
        lock, permission = FieldMDPSpec(FieldMDPAction.EXCLUDE, later), MDPPerm.FILL_FORMS
    else:
        lock, permission = FieldMDPSpec(FieldMDPAction.ALL), MDPPerm.NO_CHANGES
    number = box.page % len(papers)
    spec = SigFieldSpec(
        name,
        on_page=number,
        box=papers[number].place(box),
        field_mdp_spec=lock,
        doc_mdp_update_value=permission,
        readable_field_name=_HINTS[kind],
    )
    append_signature_field(writer, spec)


def _form(writer: Any, root: Any) -> Any:
    form = entry(root, "/AcroForm")
    if form is None:
        form = dictionary({})
        root[pdf_name("/AcroForm")] = writer.add_object(form)
    form.pop("/NeedAppearances", None)
    form.setdefault(pdf_name("/Fields"), generic.ArrayObject())
    return form


def _pages(root: Any) -> list[Any]:
    found: list[Any] = []
    stack: list[Any] = [root.raw_get("/Pages")]
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
