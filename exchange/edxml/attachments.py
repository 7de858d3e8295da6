# SPDX-License-Identifier: AGPL-3.0-or-later
"""The content of an attachment: ZIP of one entry or plain bytes, type by magic bytes (edxml.md section 7).

``pack`` makes what is sent, ``unpack`` reads what came. A ZIP is opened only when it holds exactly one
entry and neither the declared type nor the name says that the ZIP itself is the document.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass, field

from exchange.edxml.model import Attachment, Problem, Reference

MAX_ENTRY = 50_000_000
MAX_RATIO = 100
_ZIP = b"PK\x03\x04"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ZIP_NAMES = (".zip", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".jar", ".asice")
_ZIP_TYPES = ("openxmlformats", "opendocument", "java-archive", "asic-e")
_MAGIC: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (b"%PDF-", "application/pdf", (".pdf",)),
    (_ZIP, "application/zip", _ZIP_NAMES),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword", (".doc", ".xls", ".ppt", ".msg")),
    (b"\x89PNG\r\n\x1a\n", "image/png", (".png",)),
    (b"\xff\xd8\xff", "image/jpeg", (".jpg", ".jpeg")),
    (b"II*\x00", "image/tiff", (".tif", ".tiff")),
    (b"MM\x00*", "image/tiff", (".tif", ".tiff")),
    (b"{\\rtf", "text/rtf", (".rtf", ".doc")),
    (b"<?xml", "application/xml", (".xml", ".edxml")),
    (b"MZ", "application/x-msdownload", (".exe", ".dll")),
    (b"Rar!\x1a\x07", "application/vnd.rar", (".rar",)),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", (".7z",)),
)


@dataclass(frozen=True, slots=True)
class Content:
    """An attachment opened: the file's name and bytes, declared and found type, remarks."""

    name: str
    data: bytes = field(repr=False)
    declared_type: str
    found_type: str
    problems: tuple[Problem, ...] = ()


def found_type(data: bytes) -> str:
    """The media type by magic bytes, ``application/octet-stream`` when unknown."""
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n\t ")
    return next((kind for magic, kind, _ in _MAGIC if head.startswith(magic)), "application/octet-stream")


def pack(name: str, data: bytes, content_id: str | None = None) -> tuple[Reference, Attachment]:
    """One file as manifest line and attachment: a ZIP with one deflated entry, as in the samples.

    The same input gives the same bytes: no clock and no random name goes in.
    """
    digest = hashlib.sha256(data).hexdigest()
    suffix = name[name.rindex(".") :] if "." in name and len(name) - name.rindex(".") <= 6 else ".bin"
    entry = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}{suffix}"
    content_id = content_id or digest[:32]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(entry, _ZIP_TIME)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        archive.writestr(info, data)
    packed = Attachment(content_id, name, "application/zip", name, buffer.getvalue())
    return Reference(content_id, "application/zip", name, name), packed


def unpack(attachment: Attachment) -> Content:
    """Open ``attachment``. Never raises for what came from outside: remarks stand in ``problems``."""
    found: list[Problem] = []
    data = attachment.data
    if not attachment.sound:
        found.append(_problem("block", "không phải base64.", "is not base64.", attachment))
    elif not data:
        found.append(_problem("block", "rỗng.", "is empty.", attachment))
    elif data.startswith(_ZIP) and not _zip_is_the_document(attachment):
        data = _only_entry(attachment, found)
    kind = found_type(data)
    if data:
        _compare_types(attachment, data, kind, found)
    return Content(attachment.name, data, attachment.content_type, kind, tuple(found))


def _zip_is_the_document(attachment: Attachment) -> bool:
    declared = attachment.content_type.lower()
    name = attachment.name.lower()
    return name.endswith(_ZIP_NAMES) or any(word in declared for word in _ZIP_TYPES)


def _only_entry(attachment: Attachment, found: list[Problem]) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(attachment.data)) as archive:
            entries = archive.infolist()
            if len(entries) != 1:
                found.append(
                    _problem(
                        "warn",
                        f"là ZIP có {len(entries)} mục, giữ nguyên.",
                        f"is a ZIP of {len(entries)} entries, kept as it is.",
                        attachment,
                    )
                )
                return attachment.data
            entry = entries[0]
            name = entry.filename
            if "/" in name or "\\" in name or name in ("", ".", ".."):
                found.append(
                    _problem("warn", "tên mục ZIP có đường dẫn.", "names a path in its ZIP.", attachment)
                )
            limit = min(MAX_ENTRY, max(1, len(attachment.data)) * MAX_RATIO)
            with archive.open(entry) as stream:
                data = stream.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        found.append(_problem("block", "là ZIP hỏng.", "is a damaged ZIP.", attachment))
        return b""
    if len(data) > limit:
        found.append(_problem("block", "giải nén quá lớn.", "unpacks to too much.", attachment))
        return b""
    return data


def _compare_types(attachment: Attachment, data: bytes, kind: str, found: list[Problem]) -> None:
    name = attachment.name.lower()
    suffixes = next((known for _, magic_kind, known in _MAGIC if magic_kind == kind), ())
    declared = attachment.content_type.lower().split(";")[0].strip()
    wrong_name = "." in name and bool(suffixes) and not name.endswith(suffixes)
    claims_pdf = name.endswith(".pdf") or declared == "application/pdf"
    if wrong_name or (claims_pdf and kind != "application/pdf"):
        vi = f"có đuôi hoặc kiểu khai khác nội dung ({kind})."
        found.append(_problem("warn", vi, f"has content of another type ({kind}).", attachment, "R-REC-13"))
    if data.startswith(b"MZ"):
        found.append(_problem("block", "là tệp chạy được.", "is a program.", attachment, "R-REC-13"))


def _problem(severity: str, vi: str, en: str, attachment: Attachment, rule: str = "R-MET-09") -> Problem:
    name = attachment.name or attachment.content_id
    return Problem("Attachment", rule, severity, f"Tệp “{name}” {vi}", f"“{name}” {en}")
