# SPDX-License-Identifier: AGPL-3.0-or-later
"""Is a PDF fit to become an official document? What can't be signed safely is refused with words.

Read with pyHanko, whose decoding limits stop decompression bombs; the walk over objects is bounded.
"""

from __future__ import annotations

import io
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader

from config.refusal import Refused
from exchange.signing.pdf.objects import entry

MAX_BYTES = 50 * 1024 * 1024
MAX_PAGES = 2000
MAX_OBJECTS = 300_000
_ACTIVE = {
    "/JavaScript",
    "/Launch",
    "/SubmitForm",
    "/ImportData",
    "/GoToE",
    "/Rendition",
    "/RichMediaExecute",
}
_ACTIVE_PARTS = {"/RichMedia", "/Movie", "/Screen", "/Sound", "/3D"}


def open_draft(data: bytes) -> PdfFileReader:
    """A reader on a draft that may be signed. Raises `Refused` (codes ``draft-…``) with the reason."""
    if len(data) > MAX_BYTES:
        raise _no("draft-too-large", "Tệp lớn hơn 50 MB.", "The file is larger than 50 MB.")
    if b"%PDF-" not in data[:1024]:
        raise _no(
            "draft-not-pdf",
            "Tệp không phải PDF. Hãy xuất dự thảo ra PDF.",
            "The file is not a PDF. Export the draft as PDF.",
        )
    try:
        reader = PdfFileReader(io.BytesIO(data), strict=False)
        if reader.encrypted:
            raise _no(
                "draft-encrypted",
                "Tệp PDF đang đặt mật khẩu hoặc mã hóa. Hãy bỏ mật khẩu rồi gửi lại.",
                "The PDF is encrypted or has a password. Remove it and try again.",
            )
        pages = _pages(reader)
        _forms(reader.root)
        _walk(reader)
    except Refused:
        raise
    except (
        PdfReadError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        NotImplementedError,
    ) as problem:
        raise _damaged() from problem
    except (RecursionError, AssertionError, OSError, EOFError) as problem:
        raise _damaged() from problem
    if not 0 < pages <= MAX_PAGES:
        raise _no(
            "draft-pages",
            f"Tệp PDF có {pages} trang; chỉ nhận từ 1 đến {MAX_PAGES} trang.",
            f"The PDF has {pages} pages; 1 to {MAX_PAGES} are accepted.",
        )
    return reader


def _pages(reader: PdfFileReader) -> int:
    """The pages counted in the tree, not the number it claims."""
    seen: set[tuple[int, int]] = set()
    stack = [reader.root.raw_get("/Pages")]
    count = 0
    while stack:
        node = stack.pop()
        if isinstance(node, generic.IndirectObject):
            place = (node.idnum, node.generation)
            if place in seen:
                raise _damaged()
            seen.add(place)
        page = node.get_object()
        if "/Kids" in page:
            stack.extend(page["/Kids"])
        else:
            count += 1
        if count > MAX_PAGES or len(stack) > MAX_OBJECTS:
            break
    return count


def _forms(root: Any) -> None:
    form = entry(root, "/AcroForm")
    if form is None:
        return
    if "/XFA" in form:
        raise _no(
            "draft-xfa",
            "Tệp PDF dùng biểu mẫu XFA, nội dung có thể thay đổi khi mở. Hãy in ra PDF thường.",
            "The PDF uses an XFA form, whose content can change when opened. Print it to a plain PDF.",
        )


def _walk(reader: PdfFileReader) -> None:
    """Looks at every object that can be reached, for what moves, runs or was signed."""
    seen: set[tuple[int, int]] = set()
    stack: list[Any] = [reader.root]
    looked = 0
    while stack:
        item = stack.pop()
        looked += 1
        if looked > MAX_OBJECTS:
            raise _no(
                "draft-too-complex",
                "Tệp PDF quá phức tạp. Hãy in lại ra PDF.",
                "The PDF is too complex. Print it to PDF again.",
            )
        if isinstance(item, generic.IndirectObject):
            place = (item.idnum, item.generation)
            if place not in seen:
                seen.add(place)
                stack.append(_target(item))
        elif isinstance(item, generic.ArrayObject):
            stack.extend(one for one in list.__iter__(item) if _deeper(one))
        elif isinstance(item, generic.DictionaryObject):
            _look(item)
            stack.extend(one for one in dict.values(item) if _deeper(one))


def _target(reference: Any) -> Any:
    return reference.get_object()


def _deeper(item: Any) -> bool:
    return isinstance(item, (generic.IndirectObject, generic.ArrayObject, generic.DictionaryObject))


def _look(item: generic.DictionaryObject) -> None:
    kind, action = dict.get(item, "/Subtype"), dict.get(item, "/S")
    if action in _ACTIVE or "/JS" in item or kind in _ACTIVE_PARTS:
        raise _no(
            "draft-active",
            "Tệp PDF chứa mã chạy, lệnh mở chương trình hoặc nội dung đa phương tiện. Hãy in lại ra PDF.",
            "The PDF contains scripts, launch actions or media. Print it to PDF again.",
        )
    signed = dict.get(item, "/FT") == "/Sig" and "/V" in item
    if signed or ("/ByteRange" in item and "/Contents" in item):
        raise _no(
            "draft-signed",
            "Tệp PDF đã có chữ ký số. Hãy dùng bản dự thảo chưa ký.",
            "The PDF has a digital signature already. Use the unsigned draft.",
        )


def _damaged() -> Refused:
    return _no(
        "draft-damaged",
        "Tệp PDF bị hỏng, không đọc được. Hãy xuất lại ra PDF.",
        "The PDF is damaged and can't be read. Export it again.",
    )


def _no(code: str, vi: str, en: str) -> Refused:
    return Refused(code, vi, en)
