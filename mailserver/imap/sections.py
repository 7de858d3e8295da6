# SPDX-License-Identifier: AGPL-3.0-or-later
"""BODY[…]: a section of a message as a slice of its bytes (RFC 9051 §6.4.5.1)."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

from mailserver.imap.grammar.fetching import Section
from mailserver.imap.replies import No
from mailserver.message import Summary
from mailserver.message.structure import header_end, is_trace

_FIELD = re.compile(rb"([^\s:]+)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]|=.*\Z", re.DOTALL)
_LINE = re.compile(rb"[^\n]*+(?:\n|\Z)")


def of_kept_fields(summary: Summary, section: Section) -> bytes | None:
    """HEADER.FIELDS of the message itself out of its summary, None when only its bytes can tell."""
    if summary.fields is None or not is_kept(section):
        return None
    return b"".join(only(section.fields).findall(summary.fields)) + b"\r\n"


@lru_cache(maxsize=64)
def only(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """A pattern that finds the whole fields of these names in a header, folded lines included."""
    every = b"|".join(re.escape(one) for one in names)
    return re.compile(
        rb"^(?:" + every + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)", re.IGNORECASE | re.MULTILINE
    )


@lru_cache(maxsize=256)
def is_kept(section: Section) -> bool:
    """Whether the summary usually has what the section asks for."""
    return (
        not section.path
        and section.text == "HEADER.FIELDS"
        and not any(is_trace(one) for one in section.fields)
    )


def extract(data: bytes, summary: Summary | None, section: Section) -> bytes | None:
    """The octets of a section, None (NIL) where the message has no such part.

    ``summary`` may be None when the section names no part.
    """
    if not section.path:
        return _of_message(data, 0, len(data), section)
    part = summary.part(section.path) if summary is not None else None
    if part is None:
        return None
    if not section.text:
        return data[part.body_start : part.body_end]
    if section.text == "MIME":
        return data[part.header_start : part.body_start]
    if not part.is_message:
        return None
    return _of_message(data, part.body_start, part.body_end, section)


def decoded(data: bytes, summary: Summary | None, path: str) -> bytes | None:
    """The octets of a part without its transfer encoding (RFC 3516 §4.2), None where there is no such part.

    Raises `UnknownEncoding`. Wrong base64 and quoted-printable is read as far as it goes.
    """
    if not path:
        return data
    part = summary.part(path) if summary is not None else None
    if part is None:
        return None
    body = data[part.body_start : part.body_end]
    encoding = part.encoding.lower()
    if encoding == "base64":
        letters = _NOT_BASE64.sub(b"", body)
        letters = letters[:-1] if len(letters) % 4 == 1 else letters + b"=" * (-len(letters) % 4)
        return binascii.a2b_base64(letters)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding in ("", "7bit", "8bit", "binary"):
        return body
    raise UnknownEncoding


class UnknownEncoding(No):
    """A part in an encoding that nobody here can take off."""

    def __init__(self) -> None:
        super().__init__(
            "UNKNOWN-CTE",
            "Phần thư này dùng kiểu mã hóa không biết.",
            "This part has a transfer encoding that is not known.",
        )


def _of_message(data: bytes, start: int, end: int, section: Section) -> bytes:
    if not section.text:
        return data if start == 0 and end == len(data) else data[start:end]
    body = header_end(data, start, end)
    if section.text == "TEXT":
        return data[body:end]
    if section.text == "HEADER":
        return data[start:body]
    wanted = {one.lower() for one in section.fields}
    return header_fields(data, start, body, wanted, keep=section.text == "HEADER.FIELDS")


def header_fields(data: bytes, start: int, end: int, names: set[bytes], *, keep: bool) -> bytes:
    """The fields of a header that are (``keep``) or are not among ``names``, and the blank line."""
    out = []
    position = start
    while position < end:
        match = _FIELD.match(data, position, end)
        if match is None:
            skipped = _LINE.match(data, position, end)
            position = skipped.end() if skipped is not None and skipped.end() > position else end
            continue
        if (match[1].lower() in names) is keep:
            out.append(match[0] if match[0].endswith(b"\n") else match[0] + b"\r\n")
        position = match.end()
    out.append(b"\r\n")
    return b"".join(out)
