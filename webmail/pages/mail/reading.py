# SPDX-License-Identifier: AGPL-3.0-or-later
"""From the parts of a message to what a person reads: which parts, links, cleaned HTML, attached files.

Nothing of a letter runs or loads anything: text is escaped, HTML goes through an allow-list (nh3), pictures from
elsewhere are taken out and counted, pictures of the letter itself become ``data:`` addresses. The body's own
document is sandboxed besides (`body.html`), so it has no cookie with which to fetch parts.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Literal

import nh3
from markupsafe import Markup, escape

from mailserver.message import Part, Summary, body_bytes, body_text

TEXT_LIMIT = 300_000
_HTML_LIMIT = 1_500_000
_PICTURES_LIMIT = 6 * 1024 * 1024
_LINK = re.compile(
    r"\b(?:https?://[^\s<>\"'`]{1,2000}|[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6})"
)
_AFTER_LINK = ".,;:!?)]}»”’"
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_PICTURES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
_DATA_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z")
_LOADING = re.compile(r"url|image|var\s*\(|expression|attr\s*\(|@|\\", re.IGNORECASE)
_STYLES = {
    *("color", "background-color", "font-family", "font-size", "font-style", "font-weight", "font-variant"),
    *("line-height", "text-align", "text-decoration", "text-indent", "vertical-align", "white-space"),
    *("border", "border-top", "border-right", "border-bottom", "border-left", "border-color", "border-style"),
    *("border-width", "border-collapse", "border-spacing", "padding", "padding-top", "padding-right"),
    *(
        "padding-bottom",
        "padding-left",
        "margin",
        "margin-top",
        "margin-right",
        "margin-bottom",
        "margin-left",
    ),
    *("width", "max-width", "height", "direction"),
}
_ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title", "align", "valign"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "table": {"border", "cellpadding", "cellspacing", "width", "bgcolor"},
    "td": {"colspan", "rowspan", "width", "height", "bgcolor", "headers"},
    "th": {"colspan", "rowspan", "width", "height", "bgcolor", "scope"},
    "tr": {"bgcolor"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
}
_TAGS = nh3.ALLOWED_TAGS | {"font", "center", "u", "s", "big"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the body: ``kind`` text or html, its content as it came."""

    kind: Literal["text", "html"]
    text: str


@dataclass(frozen=True, slots=True)
class File:
    """An attached file: ``path`` is its IMAP section, ``octets`` about its decoded size."""

    path: str
    name: str
    type: str
    octets: int


@dataclass(slots=True)
class Cleaned:
    """HTML that may be shown in the sandbox, and how many pictures from elsewhere were left out."""

    html: Markup
    remote: int = 0


def body_parts(summary: Summary, *, prefer: Literal["html", "text"] = "html") -> list[Part]:
    """The parts that make up the body, in order; of alternatives the preferred one."""
    parts = summary.parts
    if not parts[0].is_multipart:
        return [parts[0]] if _readable(parts[0]) else []
    children: dict[str, list[Part]] = {}
    for one in parts[1:]:
        children.setdefault(one.path.rpartition(".")[0], []).append(one)
    return _within(parts[0], children, prefer)


def pieces(
    data: bytes, summary: Summary, *, prefer: Literal["html", "text"] = "html"
) -> tuple[list[Piece], bool]:
    """The body's content, and whether it was too long and is cut."""
    found: list[Piece] = []
    cut = False
    for part in body_parts(summary, prefer=prefer):
        html = part.type == "text/html"
        limit = _HTML_LIMIT if html else TEXT_LIMIT
        text = body_text(data, part, limit)
        cut = cut or part.size > limit
        if text.strip():
            found.append(Piece("html" if html else "text", text))
    return found, cut


def files(summary: Summary) -> list[File]:
    """What a person sees as attached; the parts of an attached letter belong to that letter."""
    shown = {part.path for part in body_parts(summary)} | {
        part.path for part in body_parts(summary, prefer="text")
    }
    carried = [one.path for one in summary.parts[1:] if one.is_message]
    found = []
    for one in summary.parts:
        inside = any(one.path.startswith(f"{path}.") for path in carried)
        if one.is_multipart or one.path in shown or inside:
            continue
        if one.content_id and one.disposition != "attachment" and one.type.startswith("image/"):
            continue
        octets = one.size * 3 // 4 if one.encoding == "base64" else one.size
        found.append(File(one.path or "1", file_name(one), one.type, octets))
    return found


def file_name(part: Part) -> str:
    """A name for saving: without folders, control characters or leading dots."""
    name = re.sub(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]+", " ", part.filename or "")
    name = name.replace("\\", "/").rpartition("/")[2].strip().lstrip(".")[:150]
    if name:
        return name
    number = part.path or "1"
    return f"{number}.eml" if part.type == "message/rfc822" else f"{number}.bin"


def linked(text: str) -> Markup:
    """Plain text as paragraphs, with addresses of pages and mail as links; everything else escaped."""
    paragraphs = [one for one in _BLANK_LINES.split(text[:TEXT_LIMIT].strip("\n")) if one.strip()]
    return Markup("").join(Markup("<p>{}</p>").format(_with_links(one)) for one in paragraphs)


def clean(html: str, pictures: dict[str, str]) -> Cleaned:
    """The part of ``html`` that can do no harm. ``pictures``: content id to ``data:`` address."""
    remote = 0

    def keep(tag: str, attribute: str, value: str) -> str | None:
        nonlocal remote
        if tag == "img" and attribute == "src":
            address = value.strip()
            if address.lower().startswith("cid:"):
                return pictures.get(address[4:].strip("<> "))
            if _DATA_PICTURE.match(address):
                return address
            remote += "//" in address
            return None
        if attribute == "style" and _LOADING.search(value):
            return None
        if attribute == "href":
            return value if value.lower().lstrip().startswith(("http:", "https:", "mailto:")) else None
        return value

    made = nh3.clean(
        html[:_HTML_LIMIT],
        tags=_TAGS,
        clean_content_tags={
            "script",
            "style",
            "title",
            "template",
            "noscript",
            "svg",
            "math",
            "object",
            "iframe",
        },
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=keep,
        url_schemes={"http", "https", "mailto", "cid", "data"},
        url_relative="pass_through",
        filter_style_properties=_STYLES,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer",
        strip_comments=True,
    )
    return Cleaned(Markup(made), remote)  # noqa: S704 - nh3 made it


def own_pictures(data: bytes, summary: Summary) -> dict[str, str]:
    """Pictures the letter carries by content id, as ``data:`` addresses; only real raster pictures."""
    found: dict[str, str] = {}
    total = 0
    for one in summary.parts:
        if not one.content_id or not one.type.startswith("image/") or total + one.size > _PICTURES_LIMIT:
            continue
        content = body_bytes(data, one)
        kind = next((known for magic, known in _PICTURES.items() if content.startswith(magic)), None)
        if kind is not None:
            total += one.size
            found[one.content_id.strip("<> ")] = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return found


def _within(holder: Part, children: dict[str, list[Part]], prefer: str) -> list[Part]:
    own = children.get(holder.path, [])
    branches = [
        _within(one, children, prefer) if one.is_multipart else [one] if _readable(one) else [] for one in own
    ]
    if holder.type == "multipart/alternative":
        wanted = "text/html" if prefer == "html" else "text/plain"
        branches = [one for one in branches if one]
        chosen = [one for one in branches if any(part.type == wanted for part in one)]
        return (chosen or branches)[-1] if branches else []
    if holder.type == "multipart/related":
        return branches[0] if branches else []
    return [part for branch in branches for part in branch]


def _readable(part: Part) -> bool:
    return part.type in ("text/plain", "text/html") and part.disposition != "attachment" and not part.filename


def _with_links(text: str) -> Markup:
    out: list[Markup] = []
    position = 0
    for found in _LINK.finditer(text):
        address = found[0].rstrip(_AFTER_LINK)
        out.append(escape(text[position : found.start()]))
        target = address if address.startswith(("http://", "https://")) else f"/compose?to={address}"
        outside = Markup(' target="_blank" rel="noopener noreferrer"') if target is address else Markup("")
        out.append(Markup('<a href="{}"{}>{}</a>').format(target, outside, address))
        position = found.start() + len(address)
    out.append(escape(text[position:]))
    return Markup("").join(out)
