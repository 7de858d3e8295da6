# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is a mark of secrecy and what is prose."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.secrecy_marks import _INVISIBLES, _lines, find_mark, mentions_secrecy

MARKS = [
    "MẬT",
    "  MẬT  ",
    "TỐI MẬT",
    "TUYỆT MẬT",
    "Tuyệt mật",
    "[MẬT]",
    "*** MẬT ***",
    "| TỐI MẬT |",
    "M Ậ T",
    "T Ố I   M Ậ T",
    "MẬT\u200b",
    "TỐI\u00a0MẬT",
    "Kính gửi:\n\nTUYỆT MẬT\n\nnội dung",
    "ỦY BAN NHÂN DÂN        MẬT        CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
    "Độ mật: Mật",
    "độ mật: tối mật",
    "ĐỘ MẬT: TUYỆT MẬT",
    "Số 5; Độ khẩn: Khẩn; Độ mật: Tối mật",
    "Dấu mật: MẬT",
    "Mức độ mật - Tối mật",
    "[MẬT] Kế hoạch phòng thủ",
    "Re: Fwd: [TỐI MẬT] Kế hoạch",
    "Kế hoạch phòng thủ (MẬT)",
    "MẬT - Kế hoạch phòng thủ",
    "TỐI MẬT: Kế hoạch",
    "TÀI LIỆU MẬT",
    "TOI MAT",
    "Do mat: Toi mat",
    "> TUYỆT MẬT",
]
PROSE = [
    "",
    "Tập huấn về bảo mật thông tin",
    "BẢO MẬT",
    "BÍ MẬT NHÀ NƯỚC",
    "Luật Bảo vệ bí mật nhà nước",
    "Mật khẩu: 123456",
    "MẬT KHẨU",
    "MẬT KHẨU: xyz",
    "mật ong",
    "mật",
    "Độ mật: Không",
    "Độ mật: thường",
    "Độ mật: không mật",
    "Không soạn thảo tài liệu mật, tối mật trên máy nối mạng.",
    "Việc đóng dấu chỉ độ mật: thực hiện theo quy định",
    "đóng dấu MẬT theo quy định tại Thông tư này",
    "Cơ mật viện",
    "Độ mật: mật khẩu phải đủ 12 ký tự",
    "MAT",
    "Mật độ dân số",
    "MẬT ĐỘ DÂN SỐ: 250 người/km²",
]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
@pytest.mark.parametrize("text", MARKS)
def test_marks(text: str, form: str) -> None:
    assert find_mark(unicodedata.normalize(form, text)) is not None


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("text", PROSE)
def test_prose(text: str, form: str) -> None:
    assert find_mark(unicodedata.normalize(form, text)) is None


def test_prose_that_speaks_of_secrecy_is_noted() -> None:
    assert mentions_secrecy("Tập huấn về bảo mật")
    assert mentions_secrecy(unicodedata.normalize("NFD", "bí mật nhà nước"))
    assert not mentions_secrecy("Họp giao ban")


@given(st.text(max_size=500), st.sampled_from(MARKS[:4]))
def test_a_line_of_its_own_is_found_in_anything(text: str, mark: str) -> None:
    assert find_mark(text + "\n" + mark + "\n" + text) is not None


def test_long_input_is_quick() -> None:
    assert find_mark("MẬT KHẨU " * 8000) is None
    assert find_mark("[" * 65_000) is None
    assert find_mark("độ mật " * 9000) is None
    assert find_mark("\n" * 65_000) is None
    assert find_mark("   " * 21_000 + "x") is None


def _line_by_line(text: str) -> list[str]:
    """What `_lines` shall give, said plainly."""
    plain = "".join(one for one in unicodedata.normalize("NFKC", text) if one not in _INVISIBLES)
    maybe = re.compile(r"[mM]\s*[aAậẬ]\s*[tT]")
    return [line[:2000] for line in plain.splitlines() if maybe.search(line, 0, 2000)]


_ALPHABET = [
    "m",
    "M",
    "ậ",
    "a",
    "A",
    "t",
    "T",
    " ",
    "\n",
    "\r\n",
    "\u2028",
    "\u00ad",
    "\u200b",
    "x" * 1999,
    "x",
]


@given(st.lists(st.sampled_from(_ALPHABET), max_size=60).map("".join))
def test_lines_are_found_as_if_each_were_looked_at(text: str) -> None:
    assert list(_lines(text)) == _line_by_line(text)


@pytest.mark.parametrize(
    "text", ["mat" * 21_000, "mat\n" * 16_000, ("x" * 1999 + "mat") * 30, "m\n" * 30_000]
)
def test_many_half_marks_cost_no_more_than_their_length(text: str) -> None:
    begun = time.process_time()
    assert list(_lines(text)) == _line_by_line(text)
    assert time.process_time() - begun < 2.0
