# SPDX-License-Identifier: AGPL-3.0-or-later
"""Text of attachments: real files of each kind are found; hostile ones cost bounded time and memory."""

from __future__ import annotations

import base64
import io
import time
import zipfile
from collections.abc import Iterator

import pytest

from mailserver.message import scan
from mailserver.search.extraction import Extraction
from mailserver.search.keys import Key
from tests.exchange.documents.office import draft_pdf
from tests.mailserver.search.conftest import Box

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
TEXT = 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'


def packed(members: dict[str, str | bytes]) -> bytes:
    """A ZIP."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def docx(text: str) -> bytes:
    """A Word file whose word is cut into two runs."""
    half = len(text) // 2
    runs = "".join(f"<w:r><w:t>{one}</w:t></w:r>" for one in (text[:half], text[half:]))
    return packed(
        {"word/document.xml": f"<w:document {WORD}><w:body><w:p>{runs}</w:p></w:body></w:document>"}
    )


def attached(name: str, data: bytes, kind: str = "application/octet-stream") -> bytes:
    """A message with a file."""
    head = (
        "From: a@x.example\r\nTo: b@x.example\r\nSubject: tep\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nxem tep\r\n"
        f'--b\r\nContent-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + base64.encodebytes(data) + b"\r\n--b--\r\n"


FILES = {
    "a.docx": docx("đập thủy điện"),
    "a.xlsx": packed(
        {
            "xl/sharedStrings.xml": "<sst><si><t>đập</t><t> thủy điện</t></si></sst>",
            "xl/worksheets/sheet1.xml": '<worksheet><c t="s"><v>0</v></c><c><v>4711</v></c></worksheet>',
        }
    ),
    "a.pptx": packed({"ppt/slides/slide1.xml": "<s><p><t>đập thủy điện</t></p></s>"}),
    "a.odt": packed(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<o {TEXT}><text:p>đập <text:span>thủy</text:span> điện</text:p></o>",
        }
    ),
    "a.html": "<p>đập <b>thủy</b> điện</p><script>an</script>".encode(),
    "a.txt": "đập thủy điện".encode(),
}


@pytest.fixture(scope="module")
def extraction() -> Iterator[Extraction]:
    """One extractor for all."""
    made = Extraction(seconds=20)
    yield made
    made.close()


@pytest.mark.parametrize("name", FILES)
def test_found_inside(small_box: Box, name: str) -> None:
    """By BODY and TEXT, without marks, once it is indexed; the file's name too."""
    (uid,) = small_box.put(attached(name, FILES[name]))
    small_box.builder.catch_up()
    assert small_box.found(Key("BODY", text="dap thuy dien")) == [uid]
    assert small_box.found(Key("TEXT", text=name)) == [uid]
    assert small_box.found(Key("BODY", text="khong co")) == []


def test_found_inside_a_pdf(small_box: Box) -> None:
    """A PDF as the exchange makes them."""
    (uid,) = small_box.put(attached("tb.pdf", draft_pdf("Về việc kiểm tra hồ chứa"), "application/pdf"))
    small_box.builder.catch_up()
    assert small_box.found(Key("BODY", text="kiem tra ho chua")) == [uid]


def bomb() -> bytes:
    """S27: a gigabyte of blanks in a megabyte."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/document.xml", "w", force_zip64=True) as member,
    ):
        member.write(f"<w:document {WORD}><w:p><w:t>truoc</w:t></w:p><w:p><w:t>".encode())
        for _ in range(256):
            member.write(b" " * (1024 * 1024))
    return out.getvalue()


def link() -> bytes:
    """S25: a symbolic link in a ZIP."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("word/document.xml")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha ha ha ha ha ha ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><x><p><t>&j;</t></p></x>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x><p><t>&a;</t></p></x>'


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("openxml", bomb()),
        ("openxml", link()),
        ("openxml", packed({"word/document.xml": LAUGHS})),
        ("openxml", packed({"word/document.xml": OUTSIDE})),
        ("openxml", packed({"word/document.xml": "<a>" * 200_000})),
        ("openxml", b"PK\x03\x04" + b"\0" * 1000),
        ("opendocument", packed({"content.xml": b"\xff\xfe\x00<"})),
        ("pdf", b"%PDF-1.7\n" + b"1 0 obj << /Kids [1 0 R] >> endobj " * 1000),
        ("pdf", b"%PDF-1.7\n" + b"[" * 100_000),
        ("html", b"<" * 500_000),
    ],
)
def test_hostile_files_are_bounded(extraction: Extraction, kind: str, content: bytes) -> None:
    """S25, S27, S28: little text, no exception, the next file is read as ever."""
    start = time.monotonic()
    text = extraction.of_file(kind, content)
    assert len(text) <= 4 * 1024 * 1024
    assert "root:" not in text
    assert time.monotonic() - start < 60
    assert "còn đọc được" in extraction.of_file("openxml", docx("còn đọc được"))


def test_what_was_read_before_the_end_is_kept(extraction: Extraction) -> None:
    """A bomb behind good text: the text is indexed."""
    assert "truoc" in extraction.of_file("openxml", bomb())


def test_a_stuck_extractor_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file takes longer than it may."""
    made = Extraction(seconds=0.0)
    assert made.of_file("plain", b"x" * 10) == ""
    assert made._child is None
    made.close()


def test_it_can_open_nothing(extraction: Extraction) -> None:
    """The extractor has three descriptors and may have no fourth; its memory and its time are limited."""
    extraction.of_file("plain", b"x")
    assert extraction._child is not None
    limits = open(f"/proc/{extraction._child.pid}/limits").read()  # noqa: SIM115
    wanted = {"Max open files": "3", "Max file size": "0", "Max address space": str(768 * 1024 * 1024)}
    for line in limits.splitlines():
        for name, value in wanted.items():
            if line.startswith(name):
                assert line.split()[3] == value
    assert "Max cpu time              unlimited" not in limits


def test_messages_without_files_need_no_extractor() -> None:
    """It is started when first needed."""
    made = Extraction()
    data = b"Subject: x\r\n\r\nhello"
    assert made.text(data, scan(data)) == ""
    assert made._child is None
