# SPDX-License-Identifier: AGPL-3.0-or-later
"""Vietnamese text in PDF: Tinos (Times metrics, ND30/2020 Appendix I) embedded as a subset.

A face gives the width of a text and its bytes in a content stream, and writes itself into a file as
a Type 0 font (ISO 32000-1 §9.7). The font files come with the package; none of the system is needed.
"""

from __future__ import annotations

import io
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import BasePdfFileWriter

from exchange.signing.pdf.objects import dictionary, numbers, stream, value_of

Style = Literal["Regular", "Bold", "Italic", "BoldItalic"]

_MARKS = "\u0300\u0301\u0303\u0309\u0323"
_SIGNS = "Đđ“”‘’–—…•§°×₫\u00a0"


def vietnamese_letters() -> str:
    """ASCII, every Vietnamese letter with every tone, and common signs."""
    letters = {chr(code) for code in range(32, 127)} | set(_SIGNS)
    for base in "AaĂăÂâEeÊêIiOoÔôƠơUuƯưYy":
        letters.add(base)
        letters.update(unicodedata.normalize("NFC", base + mark) for mark in _MARKS)
    return "".join(sorted(letters))


class Face:
    """One style of Tinos, cut down to some letters. Immutable; use it in any number of files."""

    def __init__(self, style: Style, letters: str) -> None:
        source = files("exchange.signing").joinpath("fonts", f"Tinos-{style}.ttf").read_bytes()
        font = TTFont(io.BytesIO(source), lazy=True)
        options = Options()
        options.layout_features = []
        options.hinting = False
        options.drop_tables += ["GSUB", "GPOS", "GDEF", "kern", "FFTM", "DSIG", "OS/2", "name", "post"]
        options.notdef_outline = True
        cutter = Subsetter(options)
        cutter.populate(text=letters + "?")
        cutter.subset(font)
        head, across = font["head"], font["hhea"]
        self._scale = 1000 / head.unitsPerEm
        self._box = [round(one * self._scale) for one in (head.xMin, head.yMin, head.xMax, head.yMax)]
        self._rise = (round(across.ascent * self._scale), round(across.descent * self._scale))
        order = {name: index for index, name in enumerate(font.getGlyphOrder())}
        self._glyphs = {code: order[name] for code, name in font.getBestCmap().items()}
        widths = {order[name]: round(one[0] * self._scale) for name, one in font["hmtx"].metrics.items()}
        self._widths: list[int] = [widths[index] for index in range(len(order))]
        self.style: Style = style
        out = io.BytesIO()
        font.save(out)
        self._program = out.getvalue()

    def width(self, text: str, size: float) -> float:
        """The width of ``text`` in points at ``size`` points."""
        return size * sum(self._widths[glyph] for glyph in self._ids(text)) / 1000

    def show(self, text: str) -> bytes:
        """``text`` as the operand of ``Tj``: a hexadecimal string of glyph ids."""
        return b"<" + b"".join(b"%04X" % glyph for glyph in self._ids(text)) + b">"

    def wrap(self, text: str, size: float, width: float, first: float | None = None) -> list[str]:
        """``text`` in lines no wider than ``width`` points (``first``: the first line's width)."""
        lines: list[str] = []
        line, room = "", width if first is None else first
        for word in text.split():
            longer = f"{line} {word}" if line else word
            if line and self.width(longer, size) > room:
                lines.append(line)
                line, room = word, width
            else:
                line = longer
        return [*lines, line]

    def embed(self, writer: BasePdfFileWriter) -> generic.IndirectObject:
        """Writes the font into a file; gives the reference for ``/Resources /Font``."""
        name = f"/CVFONT+Tinos-{self.style}"
        italic = self.style in ("Italic", "BoldItalic")
        descriptor = dictionary(
            {
                "/Type": "/FontDescriptor",
                "/FontName": name,
                "/Flags": 4 + 2 + (64 if italic else 0),
                "/FontBBox": numbers(self._box),
                "/ItalicAngle": -17 if italic else 0,
                "/Ascent": self._rise[0],
                "/Descent": self._rise[1],
                "/CapHeight": 662,
                "/StemV": 140 if "Bold" in self.style else 80,
                "/FontFile2": writer.add_object(stream(self._program, {"/Length1": len(self._program)})),
            }
        )
        descendant = dictionary(
            {
                "/Type": "/Font",
                "/Subtype": "/CIDFontType2",
                "/BaseFont": name,
                "/CIDSystemInfo": {"/Registry": "Adobe", "/Ordering": "Identity", "/Supplement": 0},
                "/FontDescriptor": writer.add_object(descriptor),
                "/DW": 500,
                "/W": generic.ArrayObject([value_of(0), numbers(self._widths)]),
                "/CIDToGIDMap": "/Identity",
            }
        )
        font = dictionary(
            {
                "/Type": "/Font",
                "/Subtype": "/Type0",
                "/BaseFont": name,
                "/Encoding": "/Identity-H",
                "/DescendantFonts": generic.ArrayObject([writer.add_object(descendant)]),
                "/ToUnicode": writer.add_object(stream(self._to_unicode(), {})),
            }
        )
        return writer.add_object(font)

    def _ids(self, text: str) -> list[int]:
        unknown = self._glyphs[ord("?")]
        return [self._glyphs.get(ord(one), unknown) for one in unicodedata.normalize("NFC", text)]

    def _to_unicode(self) -> bytes:
        letters: dict[int, int] = {}
        for code, glyph in sorted(self._glyphs.items()):
            letters.setdefault(glyph, code)
        rows = [b"<%04X> <%s>" % (glyph, _utf16(code)) for glyph, code in sorted(letters.items())]
        blocks = [rows[start : start + 100] for start in range(0, len(rows), 100)]
        body = b"\n".join(
            b"%d beginbfchar\n%s\nendbfchar" % (len(block), b"\n".join(block)) for block in blocks
        )
        return (
            b"/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
            b"/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
            b"/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
            b"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
            + body
            + b"\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
        )


@lru_cache(maxsize=4)
def _face(style: Style) -> Face:
    return Face(style, vietnamese_letters())


def form_face(style: Style = "Regular") -> Face:
    """The face with every Vietnamese letter; made once a process (about 40 ms)."""
    return _face(style)


def _utf16(code: int) -> bytes:
    return chr(code).encode("utf-16-be").hex().upper().encode()
