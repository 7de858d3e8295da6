# SPDX-License-Identifier: AGPL-3.0-or-later
"""S28: Attachments judged by content, inside ZIP files too, within bounds."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.hygiene.attachments import MOST_OPENED, Budget, inspect

PROGRAM = b"MZ" + b"\0" * 100
PDF = b"%PDF-1.7\n" + b"x" * 100


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files:
            made.writestr(name, content)
    return out.getvalue()


def office(kind: str = "word", *more: tuple[str, bytes]) -> bytes:
    return zipped(("[Content_Types].xml", b"<Types/>"), (f"{kind}/document.xml", b"<w/>"), *more)


def locked() -> bytes:
    """The encryption bit set in both headers, as a ZIP with a password has."""
    raw = bytearray(zipped(("bi-mat.docx", b"x")))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


def deep(levels: int) -> bytes:
    content = zipped(("a.txt", b"x"))
    for _ in range(levels):
        content = zipped(("b.zip", content))
    return content


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


@pytest.mark.parametrize(
    ("name", "content", "kind", "troubles"),
    [
        ("a.pdf", PDF, "application/pdf", []),
        ("a.txt", b"Kinh gui", None, []),
        ("a.exe", PROGRAM, "application/x-msdownload", ["program"]),
        ("a.pdf", PROGRAM, "application/x-msdownload", ["program"]),
        ("quyet-dinh.pdf.exe", PROGRAM, "application/x-msdownload", ["double-extension"]),
        ("quyet-dinh.docx.js", b"var a", None, ["double-extension"]),
        ("a.js", b"var a", None, ["program"]),
        ("quyetdinh\u202efdp.exe", b"x", None, ["double-extension"]),
        ("a.docx ", b"x", None, []),
        ("a.exe. ", b"x", None, ["program"]),
        ("a", b"\x7fELF" + b"\0" * 20, "application/x-executable", ["program"]),
        ("a", b"#!/bin/sh\nrm", "text/x-shellscript", ["program"]),
        ("a.txt", b"@echo off\r\n", "application/x-bat", ["program"]),
        ("a.html", b"<html><HTA:APPLICATION id=x>", "application/hta", ["program"]),
        ("a.lnk", b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0", "application/x-ms-shortcut", ["program"]),
        ("a.iso", b"\0" * 32769 + b"CD001", "application/x-iso9660-image", ["program"]),
        ("a.rar", b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed", ["not-looked-into"]),
        ("a.docx", office(), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", []),
        (
            "a.docx",
            office("word", ("word/vbaProject.bin", b"x")),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ["macros"],
        ),
        ("a.doc", OLE + "_VBA_PROJECT".encode("utf-16-le"), "application/x-ole-storage", ["macros"]),
        ("a.doc", OLE, "application/x-ole-storage", []),
        ("a.zip", zipped(("bao cao.pdf", PDF)), "application/zip", []),
        ("a.zip", zipped(("bao cao.pdf", PROGRAM)), "application/zip", ["program"]),
        ("a.zip", zipped(("bao cao.pdf.scr", b"x")), "application/zip", ["double-extension"]),
        ("a.zip", zipped(("b.zip", zipped(("c.exe", PROGRAM)))), "application/zip", ["program"]),
        (
            "a.zip",
            zipped(("META-INF/MANIFEST.MF", b""), ("A.class", b"")),
            "application/java-archive",
            ["program"],
        ),
        ("a.zip", locked(), "application/zip", ["encrypted"]),
        ("a.zip", deep(2), "application/zip", []),
        ("a.zip", deep(9), "application/zip", ["too-deep"]),
        ("a.zip", zipped(("a.txt", b"0" * (MOST_OPENED + 1))), "application/zip", ["bomb"]),
        ("a.zip", zipped(*[(f"{one}.txt", b"") for one in range(3000)]), "application/zip", ["bomb"]),
        ("a.zip", b"PK\x03\x04 nothing", "application/zip", ["unreadable"]),
        ("a.zip", b"MZ" + b"\0" * 90 + zipped(("a.txt", b"x")), "application/x-msdownload", ["program"]),
    ],
)
def test_files(name: str, content: bytes, kind: str | None, troubles: list[str]) -> None:
    found, what = inspect(name, content)
    assert found == kind
    assert [one.trouble for one in what] == troubles


def test_the_place_is_named_from_the_attachment_inwards() -> None:
    _, (found,) = inspect("ho so.zip", zipped(("trong/b.zip", zipped(("c.exe", PROGRAM)))))
    assert found.where == "ho so.zip/trong/b.zip/c.exe"


def test_a_bomb_costs_little() -> None:
    """Ten gigabytes of zeros behind some kilobytes, an entry that lies about its size, and many small bombs together."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join([packer.compress(b"\0" * (1 << 20)) for _ in range(200)] + [packer.flush()])
    lying = bytearray(zipped(("a.txt", b"x")))
    head = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, len(packed), 10, 5, 0) + b"a.txt"
    entry = (
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, 0, len(packed), 10, 5, 0, 0, 0, 0, 0, 0)
        + b"a.txt"
    )
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(head) + len(packed), 0)
    lying = bytearray(head + packed + entry + end)
    many = zipped(*[(f"{one}.zip", zipped(("z", b"\0" * (1 << 20)))) for one in range(100)])
    for content in (bytes(lying), many):
        budget = Budget()
        start = time.process_time()
        _, found = inspect("a.zip", content, budget)
        assert time.process_time() - start < 5
        assert "bomb" in [one.trouble for one in found]


def test_an_archive_of_itself_ends() -> None:
    """A quine's effect: each level holds the next, for ever; depth ends it."""
    _, found = inspect("r.zip", deep(60))
    assert [one.trouble for one in found] == ["too-deep"]


def test_one_budget_for_all_files_of_a_letter() -> None:
    budget = Budget()
    big = zipped(("a.txt", b"0" * (MOST_OPENED // 2 + 1)))
    assert inspect("a.zip", big, budget)[1] == ()
    assert [one.trouble for one in inspect("b.zip", big, budget)[1]] == ["bomb"]


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40),
    st.binary(max_size=400),
    st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", OLE[:600]]),
)
def test_nothing_makes_it_raise(name: str, content: bytes, head: bytes) -> None:
    inspect(name, head + content)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damaged_archive_makes_it_raise(data: st.DataObject) -> None:
    raw = bytearray(zipped(("a.txt", b"x" * 50), ("b.zip", zipped(("c.pdf", PDF)))))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    inspect("a.zip", bytes(raw[: data.draw(st.integers(0, len(raw)))]))
