# SPDX-License-Identifier: AGPL-3.0-or-later
"""The scanner: structure, ENVELOPE, BODYSTRUCTURE, texts, and what hostile messages may cost."""

from __future__ import annotations

import base64
import re
import time
import tracemalloc
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.message import (
    Summary,
    body_bytes,
    body_text,
    finder,
    fold,
    fold_line,
    scan,
    search_text,
    words,
)
from mailserver.message.structure import MAX_DEPTH, MAX_PARTS

NESTED = (
    b"From: =?UTF-8?B?VsSDbiBwaMOybmc=?= <vp@camau.example>\r\n"
    b'To: "Nguyen, V. A" <a@x.example>, b@x.example (Ban B), Nhom: c@x.example, d@x.example;, e@x.example\r\n'
    b"Subject: =?utf-8?q?C=C3=B4ng?= =?utf-8?q?_v=C4=83n?=\r\n"
    b"Date: Mon, 1 Jun 2026 08:00:00 +0700\r\nMessage-ID: <1@camau.example>\r\n"
    b"In-Reply-To: <0@camau.example>\r\nReferences: <a@b> <0@camau.example>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n"
    b"preamble\r\n--out\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
    b"--in\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes("Kính gửi".encode()).replace(b"\n", b"\r\n")
    + b"--in\r\nContent-Type: text/html\r\n\r\n<p>K&iacute;nh</p>\r\n--in--\r\n"
    b"--out\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nFrom: i@x.example\r\nContent-Type: multipart/mixed; boundary=deep\r\n\r\n"
    b"--deep\r\n\r\nplain\r\n--deep\r\nContent-Type: image/png\r\nContent-ID: <c1>\r\n\r\nPNG\r\n--deep--\r\n"
    b"--out\r\nContent-Type: application/pdf; name*0*=utf-8''c%C3%B4ng; name*1=\" van.pdf\"\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''c%C3%B4ng%20v%C4%83n.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--out--\r\nepilogue\r\n"
)


def test_structure_paths_and_slices() -> None:
    """Sections are slices of the message, with IMAP's numbers."""
    summary = scan(NESTED)
    paths = [(one.path, one.type) for one in summary.parts]
    assert paths == [
        ("", "multipart/mixed"),
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "message/rfc822"),
        ("2.TEXT", "multipart/mixed"),
        ("2.1", "text/plain"),
        ("2.2", "image/png"),
        ("3", "application/pdf"),
    ]
    text = summary.part("1.1")
    assert text is not None
    assert body_text(NESTED, text) == "Kính gửi"
    inner = summary.part("2.1")
    assert inner is not None
    assert NESTED[inner.body_start : inner.body_end] == b"plain"
    pdf = summary.part("3")
    assert pdf is not None
    assert (pdf.filename, pdf.disposition, body_bytes(NESTED, pdf)) == (
        "công văn.pdf",
        "attachment",
        b"%PDF-",
    )
    assert pdf.params["name"] == "công van.pdf"


def test_decoded_fields() -> None:
    """Names, groups, comments, encoded words cut inside characters, dates."""
    one = scan(NESTED)
    assert one.subject == "Công văn"
    assert [(a.name, a.address) for a in one.from_] == [("Văn phòng", "vp@camau.example")]
    assert [a.address for a in one.to] == [f"{c}@x.example" for c in "abcde"]
    assert [a.name for a in one.to][:2] == ["Nguyen, V. A", "Ban B"]
    assert one.date_us == 1_780_275_600_000_000
    assert (one.message_id, one.in_reply_to) == ("<1@camau.example>", "<0@camau.example>")
    assert one.references == ("<a@b>", "<0@camau.example>")
    assert one.has_attachment
    assert one.preview == "Kính gửi"


def test_envelope_groups() -> None:
    """A group begins with NIL host and ends with all NIL (RFC 9051 §7.5.2)."""
    assert (
        b'(NIL NIL "Nhom" NIL)(NIL NIL "c" "x.example")(NIL NIL "d" "x.example")(NIL NIL NIL NIL)'
        in scan(NESTED).envelope
    )


def test_packed_form_round_trip() -> None:
    """Packed and read again, wire forms and details are the same."""
    one = scan(NESTED)
    again = Summary.unpack(one.pack())
    assert (again.envelope, again.bodystructure, again.body) == (one.envelope, one.bodystructure, one.body)
    assert again.fields == one.fields
    assert again.details == one.details
    assert again.pack() == one.pack()
    with pytest.raises(ValueError, match="not a packed summary"):
        Summary.unpack(b"xx")


def test_q21_wire_forms_are_ascii() -> None:
    """Q21: raw 8-bit headers go out as encoded words."""
    raw = (
        "From: Văn phòng <vp@x.example>\r\nSubject: Công văn số 1\r\n"
        'Content-Type: application/pdf; name="công văn.pdf"\r\n'
        'Content-Disposition: attachment; filename="công văn.pdf"\r\n\r\nx'
    ).encode()
    one = scan(raw)
    assert one.envelope.isascii()
    assert one.bodystructure.isascii()
    assert b"=?utf-8?b?" in one.envelope
    assert one.subject == "Công văn số 1"
    assert one.parts[0].filename == "công văn.pdf"


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (
            b"Subject: x\r\n\r\nhello\r\n",
            b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1 NIL NIL NIL NIL)',
        ),
        (b"Content-Type: garbage\r\n\r\n", b'("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'),
        (b"Content-Type: text/html\r\n\r\n", b'("text" "html" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'),
        (b"", b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'),
        (
            b"Content-Type: multipart/mixed; boundary=q\r\n\r\nno parts",
            b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 0 NIL NIL NIL NIL) "mixed"'
            b' ("boundary" "q") NIL NIL NIL)',
        ),
    ],
)
def test_q22_bodystructure_of_odd_messages(raw: bytes, wanted: bytes) -> None:
    """Q22: valid without Content-Type, with a wrong one, without parameters, without parts."""
    assert scan(raw).bodystructure == wanted


def test_s6_deep_nesting_becomes_octet_stream() -> None:
    """S6: beyond the depth limit a part is flat, and the message still has a structure."""
    raw = b""
    for level in range(100):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    one = scan(raw + b"\r\nend")
    assert max(part.path.count(".") for part in one.parts) <= MAX_DEPTH
    assert one.parts[-1].type == "application/octet-stream"


def _bombs() -> list[tuple[str, bytes]]:
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 20_000 + b"--b--\r\n"
    prefix = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bx\r\n" * 1_000_000
    parameters = (
        b"Content-Type: text/plain" + b"".join(b"; n*%d*=%%41" % n for n in range(100_000)) + b"\r\n\r\nx"
    )
    header = b"X: " + b"a" * 50_000_000 + b"\r\n\r\nx"
    people = b"To: " + b", ".join(b"a%d@x.example" % n for n in range(100_000)) + b"\r\n\r\nx"
    quotes = b"To: " + b'\\"' * 120_000 + b"\r\n\r\nx"
    comments = b"To: " + b"(" * 200_000 + b"\r\n\r\nx"
    boundaries = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(
        b"--b\r\nContent-Type: multipart/mixed; boundary=n%d\r\n\r\n" % n for n in range(20_000)
    )
    tags = b"Content-Type: text/html\r\n\r\n" + b"<b><style>" * 100_000
    words = b"Subject: " + b"=?utf-8?q?=C3?= " * 15_000 + b"\r\n\r\nx"
    spaces = b"Subject:" + b" \r\n" * 80_000 + b"\r\nx"
    return [
        ("parts", many),
        ("false boundaries", prefix),
        ("rfc 2231", parameters),
        ("header", header),
        ("people", people),
        ("quotes", quotes),
        ("comments", comments),
        ("boundaries", boundaries),
        ("tags", tags),
        ("encoded words", words),
        ("folds", spaces),
    ]


@pytest.mark.parametrize(("name", "raw"), _bombs(), ids=[name for name, _ in _bombs()])
def test_s6_s7_bombs_cost_little(name: str, raw: bytes) -> None:
    """S6, S7: every bomb is scanned in bounded time and memory, and its wire forms are bounded."""
    tracemalloc.start()
    began = time.process_time()
    one = scan(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    search_text(raw, one)
    spent = time.process_time() - began
    assert spent < 4, name  # tracemalloc makes it several times slower than it is
    assert peak < 50_000_000, name
    assert len(one.parts) <= MAX_PARTS + 1
    assert len(one.bodystructure) < 2_000_000
    assert len(one.envelope) < 2_000_000


def test_preview_of_html_and_of_cut_characters() -> None:
    """S7: the preview never breaks inside a character, and shows no markup."""
    html = b"Content-Type: text/html; charset=utf-8\r\n\r\n<style>p{}</style><p>Xin&nbsp;ch\xc3\xa0o</p><script>x</script>!"
    assert scan(html).preview == "Xin chào !"
    for size in range(3060, 3090):
        raw = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b" " * size + "ẫ".encode() * 400
        assert "�" not in scan(raw).preview


@pytest.mark.parametrize(
    "text",
    ["Công văn", "CÔNG VĂN", "Co\u0302ng va\u0306n", "cong van"],
)
def test_folding(text: str) -> None:
    """``cong van`` is what all spellings of Công văn fold to."""
    assert fold(text) == "cong van"
    assert fold("Đường đất") == "duong dat"
    assert fold_line(" a \r\n b ") == "a b"
    assert words("Số 12/UBND-VP, ngày 3") == ["so", "12", "ubnd", "vp", "ngay", "3"]


def test_legacy_charsets() -> None:
    """Undeclared Vietnamese bytes are read as windows-1258, a lying label is not believed."""
    one = scan(b"Subject: " + "Công văn".encode("cp1258") + b"\r\n\r\n")
    assert one.subject == "Công văn"
    lying = b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + "Công văn".encode()
    assert body_text(lying, scan(lying).parts[0]) == "Công văn"
    unknown = b"Content-Type: text/plain; charset=x-no-such\r\n\r\n" + "Công văn".encode()
    assert body_text(unknown, scan(unknown).parts[0]) == "Công văn"


def test_file_names_do_not_lie() -> None:
    """S25: no paths, no direction marks in a file name."""
    raw = b'Content-Disposition: attachment; filename="../../etc/a\xe2\x80\xaefdp.exe"\r\n\r\nx'
    assert scan(raw).parts[0].filename == "afdp.exe"


_WIRE = re.compile(rb'(?:[()\x20]|NIL|\d+|"(?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*")*')
_pieces = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r\n\r\n", b"--b", b"--b--", b"--", b": ", b";", b'"', b"\\", b"(", b")", b"<", b">", b"@", b",",
        b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"Content-Type: text/html",
        b"Content-Transfer-Encoding: base64", b"Content-Disposition: attachment; filename*=utf-8''%C3", b"Subject: ",
        b"=?utf-8?b?w6k=?=", b"=?utf-8?q?=", b"To: ", b"From: ", b"Date: Mon, 99 Foo 10", b"\xc3\xa9", b"\xff", b"\x00",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_pieces, st.binary(max_size=8)), max_size=60).map(b"".join))
def test_any_bytes_have_a_summary(raw: bytes) -> None:
    """Never raises; wire forms are ASCII and balanced; offsets lie inside; packing keeps all."""
    one = scan(raw)
    for form in (one.envelope, one.bodystructure, one.body):
        assert _WIRE.fullmatch(form), form
        bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", form)
        assert bare.count(b"(") == bare.count(b")")
    for part in one.parts:
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(raw)
        body_text(raw, part)
        body_bytes(raw, part)
    assert Summary.unpack(one.pack()).details == one.details
    search_text(raw, one)
    assert len(one.preview) <= 200


@given(st.text(max_size=80))
def test_folding_is_idempotent(text: str) -> None:
    """Folding twice is folding once, and composition does not matter."""
    import unicodedata

    assert fold(fold(text)) == fold(text)
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))


@given(st.text(max_size=6), st.text(max_size=30), st.booleans())
def test_finding_is_folding(needle: str, hay: str, inside: bool) -> None:
    """`finder` finds what a search in folded texts finds."""
    import unicodedata

    where = unicodedata.normalize("NFC", hay + needle + hay if inside else hay)
    if fold_line(needle) in fold_line(where) and fold_line(needle):
        assert finder(needle)(where)


def test_every_character_is_found_by_what_it_folds_to() -> None:
    """Final sigma, ≠ and Ⅷ too."""
    for one in map(chr, [*range(0x20, 0xD800), *range(0xE000, 0x1F000)]):
        folded = fold_line(one)
        if folded not in (one, ""):
            assert finder(folded)(unicodedata.normalize("NFC", one)), hex(ord(one))


@pytest.mark.parametrize("text", ["cong van", "Công Văn", "CÔNG  VĂN", "công\r\nvăn"])
def test_finding_vietnamese(text: str) -> None:
    """Every spelling finds every spelling."""
    for where in ("Công văn số 1", "xcông\n\tvănx", "CONG VAN", "Co\u0302ng va\u0306n"):
        assert finder(text)(where)
    assert not finder(text)("con vang")
    assert finder("")("x")
    assert finder("a.b")("a.b")
    assert not finder("a.b")("axb")
