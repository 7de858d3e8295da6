# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a file is by its content, not by its name: the kinds that matter for safety, as media types."""

from __future__ import annotations

import re

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0", "application/x-ms-shortcut"),
    (0, b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"),
    (32769, b"CD001", "application/x-iso9660-image"),
    (0, b"conectix", "application/x-virtualbox-vhd"),
    (0, b"vhdxfile", "application/x-virtualbox-vhd"),
    (0, b"ITSF\x03\x00\x00\x00", "application/vnd.ms-htmlhelp"),
)
_SHEBANG = re.compile(rb"#![ \t]*/\S{1,200}")
_SCRIPT_HTML = re.compile(rb"<(?:hta:application|job\b|package\b|scriptlet\b)", re.IGNORECASE)
_OLE_INSTALLER = bytes.fromhex("84100c0000000000c000000000000046")  # the class of an MSI's root entry
_BATCH = re.compile(rb"\s*(?:@echo off|@setlocal|powershell(?:\.exe)?\s+-)", re.IGNORECASE)

PROGRAMS = frozenset(
    {
        "application/x-msdownload",
        "application/x-executable",
        "application/x-mach-binary",
        "application/x-ms-shortcut",
        "application/x-msi",
        "application/java-archive",
        "application/vnd.ms-htmlhelp",
        "application/x-bat",
        "application/hta",
        "text/x-shellscript",
    }
)
"""Kinds of which a double click runs something."""
DISK_IMAGES = frozenset({"application/x-iso9660-image", "application/x-virtualbox-vhd"})
ARCHIVES = frozenset(
    {
        "application/x-rar-compressed",
        "application/x-7z-compressed",
        "application/vnd.ms-cab-compressed",
        "application/gzip",
        "application/x-bzip2",
        "application/x-xz",
    }
)
"""Archives that are not looked into."""
PROGRAM_NAMES = frozenset(
    re.findall(
        r"\S+",
        "ade adp app appinstaller appref-ms appx asx bas bat chm cmd com cpl crt dll dmg exe fxp gadget "
        "hlp hta htc img inf ins iso isp jar jnlp js jse ksh lnk mad maf mda mdb mde mht msc msh msi "
        "msix msp mst ops pcd pif pl plg prf prg ps1 ps1xml ps2 psc1 psc2 pst py pyw rb reg scf scr sct "
        "settingcontent-ms sh shb shs theme url vb vbe vbp vbs vhd vhdx vsmacros vsw wim ws wsc wsf wsh "
        "xbap xll xnk ",
    )
)
"""Ends of names that a desktop runs or that carry something it runs."""
INNOCENT_NAMES = frozenset(
    re.findall(
        r"\S+", "pdf doc docx xls xlsx ppt pptx odt ods odp txt rtf csv xml edxml jpg jpeg png gif zip"
    )
)


def kind_of(content: bytes | memoryview) -> str | None:
    """The media type by content, None when it is nothing of note (text, or unknown)."""
    head = bytes(content[:512])
    if head.startswith(b"MZ") and len(content) > 63:
        return "application/x-msdownload"
    for offset, magic, kind in _MAGIC:
        if offset == 0 and head.startswith(magic):
            if kind == "application/x-ole-storage":
                return _ole(content)
            return kind
        if offset and bytes(content[offset : offset + len(magic)]) == magic:
            return kind
    if b"%PDF-" in head:  # readers take it within the first kilobyte
        return "application/pdf"
    if _SHEBANG.match(head):
        return "text/x-shellscript"
    if _BATCH.match(head):
        return "application/x-bat"
    if _SCRIPT_HTML.search(bytes(content[:4096])):
        return "application/hta"
    return None


def _ole(content: bytes | memoryview) -> str:
    """An MSI is an OLE file whose root entry has the installer's class."""
    sector = int.from_bytes(content[48:52], "little")
    shift = int.from_bytes(content[30:32], "little")
    start = (sector + 1) << shift if shift in (9, 12) else 512
    if bytes(content[start + 80 : start + 96]) == _OLE_INSTALLER:
        return "application/x-msi"
    return "application/x-ole-storage"


def has_ole_macros(content: bytes | memoryview) -> bool:
    """Whether an old Office file holds a VBA project (its directory names it)."""
    look = bytes(content[: 4 * 1024 * 1024])
    return any(name.encode("utf-16-le") in look for name in ("_VBA_PROJECT", "Macros", "VBA"))
