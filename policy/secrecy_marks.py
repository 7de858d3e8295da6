# SPDX-License-Identifier: AGPL-3.0-or-later
"""Finding stand-alone marks of secrecy (MẬT, TỐI MẬT, TUYỆT MẬT) and telling them from ordinary prose.

A mark is a line or a cell of its own, a bracketed word at the start or end of a line, a word in capitals in front of
a dash or colon at the start of a line, or the value of a field “Độ mật:”. Prose such as “bảo mật thông tin” or
“bí mật nhà nước” is none.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_INVISIBLES = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_INVISIBLE = re.compile(f"[{_INVISIBLES}]")
_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_BREAK = re.compile(f"[{_BREAKS}]")
_LONGEST = 2000
_EDGE = " \t*_#>|[](){}<>«»“”\"'.,:;=~-–—•·│┃║"
_CELLS = re.compile(r"\t+| {3,}|[|│┃║]")
_LETTERS = re.compile("[ậẬ]|MAT|[Mm]at")
_WORD = r"(?:TUYỆT\s*MẬT|TỐI\s*MẬT|MẬT)"
_PLAIN = r"(?:TUYET\s+MAT|TOI\s+MAT)"
_ALONE = re.compile(
    rf"{_WORD}|{_PLAIN}|Mật|T(?:ối|uyệt) [Mm]ật|t(?:ối|uyệt) mật|(?:Văn bản|Tài liệu|VĂN BẢN|TÀI LIỆU) {_WORD}"
)
_BRACKETED = re.compile(
    rf"^\W*[\[({{]\s*({_WORD}|{_PLAIN})\s*[\])}}]|[\[({{]\s*({_WORD}|{_PLAIN})\s*[\])}}]\W*$"
)
_IN_FRONT = re.compile(rf"^({_WORD}|{_PLAIN})\s*(?:[-–—:|/_]|\.\s)")
_FIELD = re.compile(
    r"(?:độ|dấu|mức(?: độ)?|cấp(?: độ)?|dấu chỉ độ) mật\s*[:=\-–—]\s*[\"'“‘\[(]*(tuyệt\s+mật|tối\s+mật|mật|[abc]\b)"
    r"(?!\s+(?:khẩu|mã|ong|thiết|độ))"
    r"|\b(?:do|dau|muc do|cap do) mat\s*[:=\-–—]\s*(tuyet\s+mat|toi\s+mat|mat)\b",
    re.IGNORECASE,
)
_MAYBE = tuple(re.compile(rf"{first}\s*[ậẬaA]\s*[tT]") for first in "mM")
"""What every mark holds, also letter-spaced; most texts hold it nowhere. Two, as a search for one letter is fastest."""
_REPLY = re.compile(r"^(?:\s*(?:re|fwd?|tr|tl|chuyển tiếp|trả lời)\s*:\s*)+", re.IGNORECASE)
_PROSE = re.compile(r"\b(?:bảo|bí|cơ|tuyệt|tối) mật\b", re.IGNORECASE)


def find_mark(text: str) -> str | None:
    """The first stand-alone mark in `text`, as it is written there, or None. Works on NFC and NFD alike."""
    for line in _lines(text):
        if not _LETTERS.search(line):
            continue
        for cell in (line, *_CELLS.split(line)):
            found = _cell(cell)
            if found is not None:
                return found
    return None


def mentions_secrecy(text: str) -> bool:
    """Does ordinary prose speak of secrecy?"""
    return any(_PROSE.search(line) for line in _lines(text))


@lru_cache(maxsize=4)
def _lines(text: str) -> tuple[str, ...]:
    """The lines that may hold a mark, at most 2,000 characters of each; several rules ask for those of one text."""
    plain = unicodedata.normalize("NFKC", text)
    if any(one in plain for one in _INVISIBLES):
        plain = _INVISIBLE.sub("", plain)
    found: list[str] = []
    done = 0
    for start, end in sorted(hit.span() for pattern in _MAYBE for hit in pattern.finditer(plain)):
        if start < done:
            continue  # its line is there already
        lowest = max(0, start - _LONGEST)
        begin = max(plain.rfind(one, lowest, start) for one in _BREAKS) + 1
        closed = _BREAK.search(plain, start)
        done = closed.start() if closed is not None else len(plain)
        limit = min(done, begin + _LONGEST)
        if begin >= lowest and end <= limit:
            found.append(plain[begin:limit])
    return tuple(found)


def _cell(cell: str) -> str | None:
    bare = " ".join(_REPLY.sub("", cell).strip(_EDGE).split())
    if not bare:
        return None
    if len(bare) > 3 and all(len(word) == 1 for word in bare.split(" ")):
        bare = bare.replace(" ", "")
    if _ALONE.fullmatch(bare):
        return bare
    subject = _REPLY.sub("", cell).strip()
    for pattern in (_BRACKETED, _IN_FRONT, _FIELD):
        found = pattern.search(subject)
        if found is not None:
            return " ".join(found[0].strip(_EDGE).split())
    return None
