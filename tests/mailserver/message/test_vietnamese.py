# SPDX-License-Identifier: AGPL-3.0-or-later
"""Letters of before Unicode come out as they were written; other text is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message import body_text, scan
from mailserver.message.charsets import decode
from mailserver.message.vietnamese import likely, tcvn3, vni

MOTTO = "Cộng hòa xã hội chủ nghĩa Việt Nam, Độc lập - Tự do - Hạnh phúc"
TCVN3 = "Céng hßa x· héi chñ nghÜa ViÖt Nam, §éc lËp - Tù do - H¹nh phóc".encode("latin-1")
VNI = "Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam, Ñoäc laäp - Töï do - Haïnh phuùc".encode("latin-1")


@pytest.mark.parametrize("charset", [None, "us-ascii", "iso-8859-1", "windows-1252", "x-user-defined"])
@pytest.mark.parametrize("raw", [TCVN3, VNI], ids=["tcvn3", "vni"])
def test_old_fonts_are_read(raw: bytes, charset: str | None) -> None:
    assert decode(raw, charset) == MOTTO


def test_in_a_message() -> None:
    raw = b"Subject: " + TCVN3 + b"\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n" + VNI
    one = scan(raw)
    assert one.subject == MOTTO
    assert one.preview == MOTTO
    assert body_text(raw, one.parts[0]) == MOTTO


def test_capitals() -> None:
    assert vni("COÂNG VAÊN SOÁ 12/UBND".encode("latin-1")) == "CÔNG VĂN SỐ 12/UBND"
    assert tcvn3("§¹i héi".encode("latin-1")) == "Đại hội"


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Größe, Übermut und ähnliche Wörter für später", "latin-1"),
        ("Où êtes-vous né ? Le garçon a été très gêné, déjà", "cp1252"),
        ("mañana será otro día, señor; ¿cómo está?", "latin-1"),
        ("Công văn", "cp1258"),
    ],
)
def test_other_languages_stay_as_they_are(text: str, codec: str) -> None:
    assert decode(text.encode(codec), "iso-8859-1" if codec == "latin-1" else codec) == text


@given(st.binary(max_size=300))
def test_any_bytes_give_text(data: bytes) -> None:
    found = likely(data)
    assert found is None or len(found) <= 2 * len(data)
