# SPDX-License-Identifier: AGPL-3.0-or-later
"""Attachments judged by what they are, also inside ZIP files, within bounds (pitfall S28).

At most `MOST_OPENED` octets are unpacked for one message, `MOST_ENTRIES` entries looked at, `MOST_DEPTH` archives deep;
what goes beyond is named as a finding, never unpacked further.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mailserver.hygiene import kinds

Trouble: TypeAlias = Literal[
    "program", "double-extension", "macros", "encrypted", "bomb", "too-deep", "unreadable", "not-looked-into"
]

MOST_OPENED = 25 * 1024 * 1024
MOST_ENTRIES = 2000
MOST_DEPTH = 4
_MOST_FINDINGS = 20
_END = struct.Struct("<4s4H2LH")
_MACRO_PARTS = ("vbaproject.bin", "vbadata.xml", "xlm/", "macrosheets/")
_OFFICE = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


@dataclass(frozen=True, slots=True)
class Found:
    """A trouble and where: the names from the attachment inwards, joined by ``/``."""

    trouble: Trouble
    where: str


@dataclass(slots=True)
class Budget:
    """What one message's attachments may still cost."""

    octets: int = MOST_OPENED
    entries: int = MOST_ENTRIES


def inspect(name: str, content: bytes, budget: Budget | None = None) -> tuple[str | None, tuple[Found, ...]]:
    """The kind by content (None: nothing of note), and what is wrong with the file or inside it. Never raises."""
    found: list[Found] = []
    kind = _look(name, content, name[:120], budget or Budget(), 0, found)
    return kind, tuple(found[:_MOST_FINDINGS])


def _look(name: str, content: bytes, where: str, budget: Budget, depth: int, out: list[Found]) -> str | None:
    kind = kinds.kind_of(content)
    if kind == "application/zip":
        kind = _zip(content, where, budget, depth, out)
    elif kind == "application/x-ole-storage" and kinds.has_ole_macros(content):
        out.append(Found("macros", where))
    elif kind in kinds.ARCHIVES:
        out.append(Found("not-looked-into", where))
    _judge_name(name, kind, where, out)
    return kind


def _judge_name(name: str, kind: str | None, where: str, out: list[Found]) -> None:
    parts = name.lower().rstrip(" .").split(".")
    last = parts[-1].strip() if len(parts) > 1 else ""
    if kind in kinds.PROGRAMS or kind in kinds.DISK_IMAGES or last in kinds.PROGRAM_NAMES:
        hidden = len(parts) > 2 and parts[-2].strip() in kinds.INNOCENT_NAMES
        out.append(Found("double-extension" if hidden or _BIDI & set(name) else "program", where))


def _zip(content: bytes, where: str, budget: Budget, depth: int, out: list[Found]) -> str:
    if depth >= MOST_DEPTH:
        out.append(Found("too-deep", where))
        return "application/zip"
    if _declared_entries(content) > budget.entries:
        out.append(Found("bomb", where))
        return "application/zip"
    try:
        entries = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, OverflowError):
        out.append(Found("unreadable", where))
        return "application/zip"
    budget.entries -= len(entries)
    if budget.entries < 0:
        out.append(Found("bomb", where))
        return "application/zip"
    names = [one.filename.lower() for one in entries]
    kind = _office(names)
    if any(part in one for one in names for part in _MACRO_PARTS):
        out.append(Found("macros", where))
    for one in entries:
        if len(out) >= _MOST_FINDINGS:
            break
        _entry(content, one, where, budget, depth, out)
    return kind


def _entry(
    content: bytes, one: zipfile.ZipInfo, where: str, budget: Budget, depth: int, out: list[Found]
) -> None:
    if one.is_dir():
        return
    inner = f"{where}/{one.filename[-120:]}"
    if one.flag_bits & 1:
        out.append(Found("encrypted", inner))
        _judge_name(one.filename.rpartition("/")[2], None, inner, out)
        return
    try:
        data = _unpacked(content, one, budget)
    except (zlib.error, ValueError, struct.error, IndexError):
        out.append(Found("unreadable", inner))
        return
    if data is None:
        out.append(Found("bomb", inner))
        return
    _look(one.filename.rpartition("/")[2], data, inner, budget, depth + 1, out)


def _unpacked(content: bytes, one: zipfile.ZipInfo, budget: Budget) -> bytes | None:
    """An entry's octets, or None past the budget, whatever sizes it declares. Raises `zlib.error`, `ValueError`."""
    start = one.header_offset
    if content[start : start + 4] != b"PK\x03\x04":
        raise ValueError("no local header")
    names, extra = struct.unpack_from("<HH", content, start + 26)
    begin = start + 30 + names + extra
    packed = memoryview(content)[begin : begin + one.compress_size]
    if one.compress_type == zipfile.ZIP_STORED:
        data = bytes(packed)
    elif one.compress_type == zipfile.ZIP_DEFLATED:
        opener = zlib.decompressobj(-15)
        data = opener.decompress(packed, budget.octets + 1)
    else:
        raise ValueError("unknown compression")
    budget.octets -= len(data)
    return data if budget.octets >= 0 else None


def _declared_entries(content: bytes) -> int:
    """How many entries the end of the directory declares, 0 when there is none: asked before anything is built."""
    at = content.rfind(b"PK\x05\x06", max(0, len(content) - 66_000))
    if at < 0 or at + _END.size > len(content):
        return 0
    fields = _END.unpack_from(content, at)
    return max(int(fields[4]), int(fields[5]) // 46)


def _office(names: list[str]) -> str:
    if "[content_types].xml" in names:
        for prefix, kind in _OFFICE.items():
            if any(one.startswith(prefix) for one in names):
                return kind
    if "meta-inf/manifest.mf" in names and any(one.endswith(".class") for one in names):
        return "application/java-archive"
    if "mimetype" in names and "content.xml" in names:
        return "application/vnd.oasis.opendocument"
    return "application/zip"
