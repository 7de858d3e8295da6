# SPDX-License-Identifier: AGPL-3.0-or-later
"""The text of parts for people and for search: transfer encoding, charset, HTML stripped, preview.

Every function is linear and looks at a bounded number of octets; nothing here raises on any bytes.
"""

from __future__ import annotations

import binascii
import contextlib
import html
import re
import unicodedata

from mailserver.message.charsets import decode, written
from mailserver.message.fold import fold_line
from mailserver.message.summary import Part, Summary

PREVIEW = 200
_LOOK = 3072  # octets of a body that a preview looks at, when the first ones don't fill it
_FIRST_LOOK = 1024
_LIMIT = 4 * 1024 * 1024
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffd]+"
)
_TAG_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]{0,20})")
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br center div dl dt dd fieldset footer form h1 h2 h3 h4 h5 h6 header hr li"
        " main nav ol p pre section table tbody td tfoot th thead tr ul",
    )
)
_HIDDEN = frozenset({"style", "script", "title", "template", "noscript"})


def transfer_decoded(raw: bytes, encoding: str) -> bytes:
    """The octets behind a Content-Transfer-Encoding; damaged base64 gives what can be read of it."""
    if encoding == "base64":
        tail = raw[-16:].rstrip(b"\r\n \t")  # of the end alone: the whole may be 25 MiB
        if len(tail) - len(tail.rstrip(b"=")) == raw.count(b"="):
            with contextlib.suppress(binascii.Error):  # well formed, as nearly always
                return binascii.a2b_base64(raw)
        clean = _NOT_BASE64.sub(b"", raw.partition(b"=")[0] if raw.count(b"=") <= 2 else raw)
        clean = clean[: len(clean) // 4 * 4 + (len(clean) % 4 if len(clean) % 4 > 1 else 0)]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw


def body_bytes(data: bytes, part: Part) -> bytes:
    """The decoded octets of a part: an attachment's file. The caller bounds the message's size."""
    return transfer_decoded(data[part.body_start : part.body_end], part.encoding)


def body_text(data: bytes, part: Part, limit: int = _LIMIT) -> str:
    """A text part as text: NFC, line ends as ``\\n``. At most ``limit`` encoded octets are read."""
    text = decode(*_octets(data, part, limit))
    text = text.replace("\r\n", "\n")
    return text.replace("\r", "\n") if "\r" in text else text


def written_text(data: bytes, part: Part, limit: int = _LIMIT) -> str:
    """`body_text` in the Unicode form and with the line ends it was written in: half the work."""
    return written(*_octets(data, part, limit))


def _octets(data: bytes, part: Part, limit: int) -> tuple[bytes, str | None]:
    raw = data[part.body_start : min(part.body_end, part.body_start + limit)]
    octets = transfer_decoded(raw, part.encoding)
    if len(raw) < part.size:
        octets = _whole_characters(octets)
    return octets, part.params.get("charset")


def _whole_characters(octets: bytes) -> bytes:
    """``octets`` that were cut, without a UTF-8 character cut in two."""
    for back in range(1, min(4, len(octets)) + 1):
        first = octets[-back]
        if first < 0x80:
            return octets
        if first >= 0xC0:
            needed = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return octets[:-back] if needed > back else octets
    return octets


def html_text(source: str) -> str:
    """The text of HTML for reading aloud or searching: tags, styles, scripts and comments out, entities decoded."""
    out: list[str] = []
    position, end = 0, len(source)
    closing: dict[str, bool] = {}
    while position < end:
        opened = source.find("<", position)
        if opened < 0:
            out.append(source[position:])
            break
        out.append(source[position:opened])
        if source.startswith("<!--", opened):
            closed = source.find("-->", opened + 4)
            position = closed + 3 if closed >= 0 else end
            continue
        closed = source.find(">", opened)
        if closed < 0:
            break
        match = _TAG_NAME.match(source, opened + 1, closed)
        if match is None:
            if source[opened + 1 : opened + 2] not in ("!", "?"):
                out.append("<")
                position = opened + 1
            else:
                position = closed + 1
            continue
        name = match[1].lower()
        position = closed + 1
        if name in _HIDDEN and source[opened + 1] != "/" and closing.get(name, True):
            found = _closing(source, name, position)
            closing[name] = found >= 0
            position = found if found >= 0 else position
        elif name in _BLOCKS:
            out.append("\n")
    return html.unescape("".join(out)).replace("\xa0", " ")


def _closing(source: str, name: str, position: int) -> int:
    for wanted in (f"</{name}", f"</{name.upper()}"):
        found = source.find(wanted, position)
        if found >= 0:
            return found
    return -1


def _first_text(parts: tuple[Part, ...]) -> Part | None:
    plain = markup = None
    for one in parts:
        if one.disposition == "attachment":
            continue
        if one.type == "text/plain" and plain is None:
            plain = one
        elif one.type == "text/html" and markup is None:
            markup = one
    return plain if plain is not None and plain.size else markup or plain


def preview(data: bytes, parts: tuple[Part, ...]) -> str:
    """The first `PREVIEW` characters of the text for people, white space runs as one blank."""
    part = _first_text(parts)
    if part is None:
        return ""
    if part.type == "text/html":
        return _shown(html_text(body_text(data, part, 8 * _LOOK)))
    first = _shown(body_text(data, part, _FIRST_LOOK))
    if len(first) >= PREVIEW or part.size <= _FIRST_LOOK:
        return first
    return _shown(body_text(data, part, _LOOK)[: 4 * PREVIEW])


def _shown(text: str) -> str:
    text = " ".join(text.split())
    if not text.isprintable():
        text = " ".join(_UNSHOWN.sub("", text).split())
    return unicodedata.normalize("NFC", text[:PREVIEW])


def plain_text(data: bytes, summary: Summary, limit: int = _LIMIT) -> str:
    """All text of the bodies of a message, NFC, for `fold.finder`; about ``limit`` encoded octets are read."""
    out: list[str] = []
    for part in summary.parts:
        if limit <= 0:
            break
        if part.type.startswith("text/"):
            text = body_text(data, part, limit)
            out.append(html_text(text) if part.type == "text/html" else text)
            limit -= part.size
    return "\n".join(out)


def search_text(data: bytes, summary: Summary, limit: int = _LIMIT) -> str:
    """`plain_text`, folded, white space runs as one blank: what an index of BODY searches is made of."""
    return fold_line(plain_text(data, summary, limit))
