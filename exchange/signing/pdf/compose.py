# SPDX-License-Identifier: AGPL-3.0-or-later
"""Composes a simple administrative document as PDF from a form (ND30/2020 Appendix I: parts and fonts).

A4, Tinos (Times metrics), margins 20/20/30/20 mm. Number, date, signature and seal are left free; their
places go along in the file for `prepare`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from config.refusal import Refused
from exchange.signing.pdf.layout import HINT, MM, Box, Layout, seal_box
from exchange.signing.pdf.objects import dictionary, name, stream, value_of, written
from exchange.signing.pdf.typeface import Face, Style, form_face

_WIDTH, _HEIGHT = 595.28, 841.89
_LEFT, _RIGHT, _TOP, _BOTTOM = 30 * MM, _WIDTH - 20 * MM, _HEIGHT - 20 * MM, 20 * MM
_ORGAN = (_LEFT - 14, 200.0)
_MOTTO = (_RIGHT - 266, 272.0)
_SIGN = (_RIGHT - 220, 220.0)
_BODY, _LEADING, _GAP, _INDENT = 14.0, 18.5, 6.0, 12.7 * MM
_STYLES: tuple[Style, ...] = ("Regular", "Bold", "Italic", "BoldItalic")
_MAX_TEXT = 400_000
_make_writer: Any = PdfFileWriter
_make_page: Any = PageObject


@dataclass(frozen=True, slots=True)
class Draft:
    """The parts of a document. ``kind`` "" or "Công văn" makes an official letter (abstract under number).

    ``authority`` is the line above the post (``TM. ỦY BAN NHÂN DÂN``, ``KT. GIÁM ĐỐC``); ``to`` are the
    addressees of a letter (Kính gửi), ``copies`` the lines of Nơi nhận.
    """

    agency: str
    subject: str
    paragraphs: tuple[str, ...]
    post: str
    signer: str
    superior: str = ""
    kind: str = ""
    authority: str = ""
    to: tuple[str, ...] = ()
    copies: tuple[str, ...] = field(default=("Như trên;", "Lưu: VT."))


def compose_draft(draft: Draft) -> bytes:
    """The PDF of a draft. Raises `Refused` when a part is missing or the text is too long."""
    everything = [*draft.paragraphs, draft.subject, draft.agency, draft.post, draft.signer]
    if not all(one.strip() for one in (draft.agency, draft.subject, draft.post, draft.signer)):
        raise Refused(
            "draft-incomplete",
            "Dự thảo thiếu tên cơ quan, trích yếu, chức vụ hoặc người ký.",
            "The draft lacks the agency, the abstract, the post or the signer.",
        )
    if sum(map(len, everything)) > _MAX_TEXT:
        raise Refused("draft-too-large", "Nội dung dự thảo quá dài.", "The draft's text is too long.")
    return _Composer(draft).run()


class _Composer:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.faces: dict[Style, Face] = {style: form_face(style) for style in _STYLES}
        self.pages: list[list[bytes]] = [[]]
        self.y = _TOP

    def run(self) -> bytes:
        number, date = self._head()
        letter = self.draft.kind.strip().casefold() in ("", "công văn")
        if letter:
            self._addressees()
        else:
            self._title()
        for paragraph in self.draft.paragraphs:
            self._paragraph(paragraph)
        person = self._foot()
        return self._file(Layout(number, date, person, seal_box(person)))

    def _head(self) -> tuple[Box, Box]:
        draft = self.draft
        left_y = right_y = _TOP - 12
        if draft.superior:
            left_y = self._centred(draft.superior.upper(), "Regular", 12, _ORGAN, left_y, 16)
        left_y = self._centred(draft.agency.upper(), "Bold", 12, _ORGAN, left_y, 16)
        self._rule(_ORGAN, left_y + 11, 60)
        right_y = self._centred("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Bold", 12, _MOTTO, right_y, 16)
        motto = "Độc lập - Tự do - Hạnh phúc"
        right_y = self._centred(motto, "Bold", 13, _MOTTO, right_y, 16)
        self._rule(_MOTTO, right_y + 11, self.faces["Bold"].width(motto, 13))
        base = min(left_y, right_y) - 10
        number = Box(0, _ORGAN[0], base - 5, _ORGAN[1], 18)
        date = Box(0, _MOTTO[0], base - 5, _MOTTO[1], 18)
        self.y = base - 10
        if draft.kind.strip().casefold() in ("", "công văn"):
            about = f"V/v {draft.subject}"
            self.y = self._centred(about, "Regular", 12, _ORGAN, self.y - 6, 14)
        self.y -= 16
        return number, date

    def _title(self) -> None:
        across = (_LEFT, _RIGHT - _LEFT)
        self.y = self._centred(self.draft.kind.upper(), "Bold", 14, across, self.y - 6, 18)
        self.y = self._centred(self.draft.subject, "Bold", 14, (_LEFT + 40, across[1] - 80), self.y, 18)
        self._rule(across, self.y + 12, 90)
        self.y -= 12

    def _addressees(self) -> None:
        to = self.draft.to
        if not to:
            return
        face = self.faces["Regular"]
        start = _LEFT + 90
        self._text("Kính gửi:", "Regular", _BODY, start, self.y)
        x = start + face.width("Kính gửi: ", _BODY)
        lines = to if len(to) == 1 else tuple(f"- {one}" for one in to)
        for item in lines:
            for line in face.wrap(item, _BODY, _RIGHT - x):
                self._text(line, "Regular", _BODY, x, self.y)
                self.y -= _LEADING
        self.y -= _GAP * 2

    def _paragraph(self, text: str) -> None:
        face = self.faces["Regular"]
        width = _RIGHT - _LEFT
        lines = face.wrap(text, _BODY, width, width - _INDENT)
        for number, line in enumerate(lines):
            self._need(_LEADING)
            indent = _INDENT if number == 0 else 0.0
            last = number == len(lines) - 1
            self._line(line, _LEFT + indent, self.y, 0 if last else width - indent)
            self.y -= _LEADING
        self.y -= _GAP

    def _foot(self) -> Box:
        draft = self.draft
        posts = [one for one in (draft.authority, draft.post) if one]
        self._need(max(16 * len(posts) + 120, 14 + 13 * (len(draft.copies) + 2)))
        top = self.y - 10
        y = top
        for line in posts:
            y = self._centred(line.upper(), "Bold", 14, _SIGN, y, 16)
        person = Box(len(self.pages) - 1, _SIGN[0] + 45, y - 66, 150, 60)
        self._centred(draft.signer, "Bold", 14, _SIGN, y - 96, 16)
        if draft.copies:
            self._text("Nơi nhận:", "BoldItalic", 12, _LEFT, top)
            face, at = self.faces["Regular"], top - 14
            for copy in draft.copies:
                for line in face.wrap(f"- {copy}", 11, 190):
                    self._text(line, "Regular", 11, _LEFT, at)
                    at -= 13
        return person

    def _need(self, height: float) -> None:
        if self.y - height < _BOTTOM:
            self.pages.append([])
            self.y = _TOP - 24
            number = str(len(self.pages))
            face = self.faces["Regular"]
            self._text(number, "Regular", 13, (_WIDTH - face.width(number, 13)) / 2, _HEIGHT - 15 * MM)

    def _centred(
        self, text: str, style: Style, size: float, column: tuple[float, float], y: float, leading: float
    ) -> float:
        """Lines in a column (left, width) from baseline ``y`` on; gives the next baseline."""
        face = self.faces[style]
        for line in face.wrap(text, size, column[1]):
            self._text(line, style, size, column[0] + (column[1] - face.width(line, size)) / 2, y)
            y -= leading
        return y

    def _rule(self, column: tuple[float, float], y: float, width: float) -> None:
        left = column[0] + (column[1] - width) / 2
        self.pages[-1].append(
            b"/Artifact BMC 0.7 w %.2f %.2f m %.2f %.2f l S EMC" % (left, y, left + width, y)
        )

    def _text(self, text: str, style: Style, size: float, x: float, y: float) -> None:
        self.pages[-1].append(
            f"BT /{style} {size:g} Tf {x:.2f} {y:.2f} Td ".encode() + self.faces[style].show(text) + b" Tj ET"
        )

    def _line(self, text: str, x: float, y: float, width: float) -> None:
        """A line of the body, stretched between words to ``width`` (0: as it is)."""
        face = self.faces["Regular"]
        gaps = text.count(" ")
        extra = (width - face.width(text, _BODY)) / gaps * 1000 / _BODY if width and gaps else 0.0
        if not extra:
            self._text(text, "Regular", _BODY, x, y)
            return
        words = (b" %.1f " % -extra).join(face.show(one + " ") for one in text.split(" "))
        self.pages[-1].append(f"BT /Regular {_BODY:g} Tf {x:.2f} {y:.2f} Td [".encode() + words + b"] TJ ET")

    def _file(self, layout: Layout) -> bytes:
        writer = _make_writer(stream_xrefs=True)
        fonts = dictionary({f"/{style}": face.embed(writer) for style, face in self.faces.items()})
        resources = writer.add_object(dictionary({"/Font": fonts}))
        box = generic.ArrayObject(map(generic.FloatObject, ("0", "0", f"{_WIDTH}", f"{_HEIGHT}")))
        for content in self.pages:
            body = writer.add_object(stream(b"\n".join(content), {}))
            writer.insert_page(_make_page(contents=body, media_box=box, resources=resources))
        root = writer.root
        root[name("/Lang")] = generic.pdf_string("vi-VN")
        root[name("/ViewerPreferences")] = dictionary({"/DisplayDocTitle": value_of(True)})
        root[name(HINT)] = layout.as_pdf()
        writer.set_info(dictionary({"/Title": self.draft.subject, "/Producer": "congvan"}))
        return written(writer)
