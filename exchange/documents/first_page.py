# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages of a PDF and the text of its first one, so that a mark of secrecy is seen (R-CON-03).

Reads the operators that show text (ISO 32000-1 §9.4) with each font's ToUnicode map, and form XObjects one
level down. What is an image stays unseen: no text is a smaller claim, never an error. Bounded in size.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

_MOST_BYTES = 4_000_000
_MOST_TEXT = 65_536
_MOST_CODES = 70_000
_UNREADABLE = (PdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OSError)
_TOKEN = re.compile(
    rb"\((?:[^\\()]|\\.|\((?:[^\\()]|\\.)*\))*\)|<[0-9A-Fa-f\s]*>|/[^\s<>\[\]()/%]+|[-+.\d]+|[A-Za-z'\"*]+|[\[\]]",
    re.DOTALL,
)
_CHARS = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>")
_RANGE = re.compile(
    rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*(?:<([0-9A-Fa-f]+)>|\[((?:\s*<[0-9A-Fa-f]+>)*)\s*\])"
)
_HEX = re.compile(rb"<([0-9A-Fa-f]+)>")
_BREAKS = {b"Td", b"TD", b"Tm", b"T*", b"BT", b"ET"}
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_KERN_IS_SPACE = -180.0


def look(reader: PdfFileReader) -> tuple[int, str]:
    """(number of pages, text of the first page) of an open PDF; "" when its text can't be read."""
    try:
        pages = int(reader.root["/Pages"]["/Count"])
        return pages, "".join(_page_text(_first(reader.root["/Pages"])))[:_MOST_TEXT]
    except _UNREADABLE:
        return 1, ""


def of_pdf(data: bytes, most_pages: int) -> str:
    """The first page's text of any PDF; "" when it can't be read, or has more than ``most_pages``."""
    try:
        pages, text = look(PdfFileReader(io.BytesIO(data), strict=False))
    except (*_UNREADABLE, AssertionError):
        return ""
    return text if pages <= most_pages else ""


def _first(node: Any) -> Any:
    resources = None
    for _ in range(64):
        resources = _part(node, "/Resources") or resources
        if "/Kids" not in node:
            break
        node = node["/Kids"][0].get_object()
    return node, resources


def _page_text(found: tuple[Any, Any]) -> Iterator[str]:
    page, resources = found
    contents = _part(page, "/Contents")
    if contents is None:
        return
    streams = [contents] if hasattr(contents, "data") else list(contents)
    data = b"\n".join(bytes(one.get_object().data) for one in streams[:1000])[:_MOST_BYTES]
    yield from _shown(data, resources, deeper=True)


def _shown(data: bytes, resources: Any, *, deeper: bool) -> Iterator[str]:
    fonts: dict[bytes, _Font] = {}
    font = _Font(None)
    operands: list[bytes] = []
    for match in _TOKEN.finditer(data):
        token = match.group()
        if token[:1] in b"(</[]-+.0123456789":
            operands.append(token)
            if len(operands) > 10_000:
                operands.clear()
            continue
        if token == b"Tf" and len(operands) >= 2:
            name = operands[-2]
            if name not in fonts:
                fonts[name] = _Font(_resource(resources, "/Font", name))
            font = fonts[name]
        elif token in (b"Tj", b"'", b'"', b"TJ"):
            if token in (b"'", b'"'):
                yield "\n"
            yield from (_piece(one, font) for one in operands)
        elif token in _BREAKS:
            yield "\n"
        elif token == b"Do" and operands and deeper:
            form = _resource(resources, "/XObject", operands[-1])
            if form is not None and form.get("/Subtype") == "/Form":
                inner = _part(form, "/Resources") or resources
                yield from _shown(bytes(form.data)[:_MOST_BYTES], inner, deeper=False)
        operands.clear()


def _piece(token: bytes, font: _Font) -> str:
    if token[:1] in b"(<":
        return font.text(_string(token))
    try:
        return " " if float(token) < _KERN_IS_SPACE else ""
    except ValueError:
        return ""


def _resource(resources: Any, kind: str, name: bytes) -> Any:
    try:
        return _part(_part(resources, kind), name.decode("latin-1"))
    except _UNREADABLE:
        return None


def _part(node: Any, key: str) -> Any:
    return node.raw_get(key).get_object() if node is not None and key in node else None


def _string(token: bytes) -> bytes:
    if token[:1] == b"<":
        digits = re.sub(rb"\s", b"", token[1:-1])
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())

    def unescape(match: re.Match[bytes]) -> bytes:
        what = match.group(1)
        if what[:1].isdigit():
            return bytes([int(what, 8) & 0xFF])
        return _ESCAPES.get(what, b"" if what in (b"\n", b"\r") else what)

    return re.sub(rb"\\([0-7]{1,3}|.)", unescape, token[1:-1], flags=re.DOTALL)


class _Font:
    """How the bytes of a shown string become text."""

    def __init__(self, font: Any) -> None:
        self._map: dict[int, str] = {}
        self._wide = False
        if font is None:
            return
        self._wide = font.get("/Subtype") == "/Type0"
        try:
            self._read(bytes(_part(font, "/ToUnicode").data)[:_MOST_BYTES])
        except _UNREADABLE:
            self._map = {}

    def text(self, data: bytes) -> str:
        """The text of one string; unknown codes are left out, simple fonts without a map are Windows-1252."""
        step = 2 if self._wide else 1
        codes = [int.from_bytes(data[at : at + step], "big") for at in range(0, len(data), step)]
        if not self._map:
            return "" if self._wide else data.decode("cp1252", "replace")
        return "".join(self._map.get(code, "") for code in codes)

    def _read(self, cmap: bytes) -> None:
        for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
            for code, text in _CHARS.findall(block):
                self._put(int(code, 16), text)
        for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
            for low, high, first, listed in _RANGE.findall(block):
                start, count = int(low, 16), min(int(high, 16) - int(low, 16) + 1, _MOST_CODES)
                if listed:
                    for offset, text in enumerate(_HEX.findall(listed)[:count]):
                        self._put(start + offset, text)
                    continue
                base = int(first, 16)
                for offset in range(count):
                    self._put(start + offset, b"%0*X" % (len(first), base + offset))

    def _put(self, code: int, digits: bytes) -> None:
        if len(self._map) < _MOST_CODES:
            raw = bytes.fromhex((digits if len(digits) % 2 == 0 else b"0" + digits).decode())
            self._map[code] = raw.decode("utf-16-be", "replace")
