# SPDX-License-Identifier: AGPL-3.0-or-later
"""Form fields in a prepared file: finding them, drawing what they show, filling number and date.

Filling is an incremental update: value and appearance, with the font that `prepare` embedded
(ISO 32000-1 §12.7.3.3). Nothing else of the file changes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader

from config.refusal import Refused
from exchange.signing.pdf.layout import DATE, FONT_NAME, ITALIC_NAME, NUMBER, Paper, upright
from exchange.signing.pdf.objects import dictionary, entry, form, name, value_of, written
from exchange.signing.pdf.picture import Picture
from exchange.signing.pdf.typeface import Face, Style, form_face

_SIZE = 13.0
_SMALLEST = 8.0
_MAX_TEXT = 120
_UPRIGHT: Style = "Regular"
_ITALIC: Style = "Italic"


@dataclass(frozen=True, slots=True)
class Widget:
    """A field's dictionary with its visible size in points and how its page is turned."""

    field: Any
    width: float
    height: float
    rotate: int


def number_line(number: str) -> str:
    """``Số: 12/TB-VP``."""
    return f"Số: {number}"


def date_line(place: str, day: date) -> str:
    """``Cà Mau, ngày 05 tháng 01 năm 2026``: a day below 10 and the months 1, 2 get a 0 (ND30/2020)."""
    month = f"{day.month:02}" if day.month < 3 else str(day.month)
    return f"{place}, ngày {day.day:02} tháng {month} năm {day.year}"


def fill(data: bytes, number: str, dated: str) -> bytes:
    """Writes the lines of number (`number_line`) and date (`date_line`) into a person-signed file.

    Raises `Refused` when the file was not prepared here, or is filled already.
    """
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    for field_name, text, font, style in (
        (NUMBER, number, FONT_NAME, _UPRIGHT),
        (DATE, dated, ITALIC_NAME, _ITALIC),
    ):
        if not text or len(text) > _MAX_TEXT or any(ord(one) < 32 for one in text):
            raise Refused(
                "bad-field-text",
                "Số, ký hiệu hoặc ngày tháng không hợp lệ.",
                "The number or the date is not a short line of text.",
            )
        widget = find(writer, field_name)
        if widget is None or "/V" in widget.field:
            raise Refused(
                "not-prepared",
                "Tệp PDF chưa được chuẩn bị để ghi số, hoặc đã ghi số.",
                "The PDF was not prepared for a number, or has one already.",
            )
        widget.field[name("/V")] = generic.TextStringObject(text)
        look = _line(text, widget.width, widget.height, font, form_face(style))
        embedded = form_font(writer, font) or form_face(style).embed(writer)
        appearance(writer, widget, look, {font: embedded})
    return written(writer)


def read_fields(data: bytes) -> dict[str, str]:
    """The values of number and date (``so``, ``ngay``); empty when there are none."""
    try:
        return values_of(PdfFileReader(io.BytesIO(data), strict=False))
    except (PdfReadError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def values_of(handler: Any) -> dict[str, str]:
    """The values of number and date in an open file."""
    found = {}
    for field_name in (NUMBER, DATE):
        field = _field(handler, field_name)
        value = entry(field, "/V") if field is not None else None
        if isinstance(value, str):
            found[field_name] = str(value)
    return found


def find(handler: Any, field_name: str) -> Widget | None:
    """The field (at the top of the form, one widget); None when there is none."""
    field = _field(handler, field_name)
    if field is None or "/Rect" not in field:
        return None
    x1, y1, x2, y2 = (float(one) for one in field["/Rect"])
    rotate = Paper.of(field["/P"]).rotate if "/P" in field else 0
    across, up = abs(x2 - x1), abs(y2 - y1)
    if rotate in (90, 270):
        across, up = up, across
    return Widget(field, across, up, rotate)


def appearance(
    writer: IncrementalPdfFileWriter,
    widget: Widget,
    content: bytes,
    fonts: dict[str, generic.IndirectObject],
    pictures: Mapping[str, Picture] | None = None,
) -> None:
    """Gives a field the look drawn by ``content`` (operators in a box of its size)."""
    matrix = generic.ArrayObject(map(value_of, upright(widget.rotate)))
    resources = {"/Font": dictionary(fonts)}
    if pictures:
        resources["/XObject"] = dictionary({key: one.embed(writer) for key, one in pictures.items()})
    look = form(content, widget.width, widget.height, {"/Matrix": matrix, "/Resources": resources})
    widget.field[name("/AP")] = dictionary({"/N": writer.add_object(look)})
    writer.update_container(widget.field)


def form_font(handler: Any, font: str = FONT_NAME) -> generic.IndirectObject | None:
    """A font that `prepare` put into the form, for marks and fields."""
    try:
        reference = handler.root["/AcroForm"]["/DR"]["/Font"].raw_get(font)
    except (KeyError, TypeError):
        return None
    return reference if isinstance(reference, generic.IndirectObject) else None


def _field(handler: Any, field_name: str) -> Any:
    acro = entry(handler.root, "/AcroForm")
    if acro is None:
        return None
    for reference in entry(acro, "/Fields") or ():
        field = reference.get_object()
        if entry(field, "/T") == field_name:
            return field
    return None


def _line(text: str, width: float, height: float, font: str, face: Face) -> bytes:
    """One line, centred, made smaller when it would not fit."""
    size = _SIZE
    wide = face.width(text, size)
    if wide > width - 2:
        size = max(_SMALLEST, size * (width - 2) / wide)
        wide = face.width(text, size)
    left, base = max(1.0, (width - wide) / 2), (height - size * 0.66) / 2
    return (
        b"/Tx BMC q BT "
        + f"{font} {size:.2f} Tf 0 g {left:.2f} {base:.2f} Td ".encode()
        + face.show(text)
        + b" Tj ET Q EMC"
    )
