# SPDX-License-Identifier: AGPL-3.0-or-later
"""Vietnamese text of before Unicode: TCVN3 (fonts ".VnTime", ABC) and VNI ("VNI-Times").

Such mail declares iso-8859-1, windows-1252 or nothing: which of the three it is can only be told by whether words
come out. `likely` reads a sample in each way and counts Vietnamese syllables.
"""

from __future__ import annotations

import re
import unicodedata

_LOOK = 4096
_TCVN3_LETTERS = (
    "\u00a1Ă\u00a2Â\u00a3Ê\u00a4Ô\u00a5Ơ\u00a6Ư\u00a7Đ\u00a8ă\u00a9â\u00aaê\u00abô\u00acơ\u00adư\u00aeđ"
    "\u00b5à\u00b6ả\u00b7ã\u00b8á\u00b9ạ\u00bbằ\u00bcẳ\u00bdẵ\u00beắ\u00c6ặ\u00c7ầ\u00c8ẩ\u00c9ẫ\u00caấ\u00cbậ"
    "\u00ccè\u00ceẻ\u00cfẽ\u00d0é\u00d1ẹ\u00d2ề\u00d3ể\u00d4ễ\u00d5ế\u00d6ệ\u00d7ì\u00d8ỉ\u00dcĩ\u00ddí\u00deị"
    "\u00dfò\u00e1ỏ\u00e2õ\u00e3ó\u00e4ọ\u00e5ồ\u00e6ổ\u00e7ỗ\u00e8ố\u00e9ộ\u00eaờ\u00ebở\u00ecỡ\u00edớ\u00eeợ"
    "\u00efù\u00f1ủ\u00f2ũ\u00f3ú\u00f4ụ\u00f5ừ\u00f6ử\u00f7ữ\u00f8ứ\u00f9ự\u00faỳ\u00fbỷ\u00fcỹ\u00fdý\u00feỵ"
)
_TCVN3 = {ord(_TCVN3_LETTERS[at]): _TCVN3_LETTERS[at + 1] for at in range(0, len(_TCVN3_LETTERS), 2)}

_ACUTE, _GRAVE, _HOOK, _TILDE, _DOT, _HAT, _BREVE = (
    "\u0301", "\u0300", "\u0309", "\u0303", "\u0323", "\u0302", "\u0306",
)  # fmt: skip
_VNI_MARKS = {
    "ù": _ACUTE, "ø": _GRAVE, "û": _HOOK, "õ": _TILDE, "ï": _DOT, "â": _HAT, "ê": _BREVE,
    "á": _HAT + _ACUTE, "à": _HAT + _GRAVE, "å": _HAT + _HOOK, "ã": _HAT + _TILDE, "ä": _HAT + _DOT,
    "é": _BREVE + _ACUTE, "è": _BREVE + _GRAVE, "ú": _BREVE + _HOOK, "ü": _BREVE + _TILDE, "ë": _BREVE + _DOT,
}  # fmt: skip
_VNI_LETTERS = {
    "ô": "ơ", "ö": "ư", "ñ": "đ", "í": "í", "ì": "ì", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "î": "ỵ",
}  # fmt: skip
_VNI = {ord(one): into for one, into in (_VNI_MARKS | _VNI_LETTERS).items()}
_VNI |= {ord(one.upper()): into for one, into in _VNI_MARKS.items()}
_VNI |= {ord(one.upper()): into.upper() for one, into in _VNI_LETTERS.items()}

_MARKS = re.compile("[\u0300-\u036f]+")
_SYLLABLE = re.compile(
    r"(?:ngh?|nh|ch|kh|gh|gi|ph|qu|th|tr|[bcdđghklmnprstvx])?[aeiouy]{1,3}(?:ng|nh|ch|[cmnpt])?",
    re.IGNORECASE,
)


def tcvn3(data: bytes) -> str:
    """Bytes of TCVN 5712:1993 VN3 as text in NFC."""
    return data.decode("latin-1").translate(_TCVN3)


def vni(data: bytes) -> str:
    """Bytes of VNI (Windows) as text in NFC."""
    return unicodedata.normalize("NFC", data.decode("latin-1").translate(_VNI))


def likely(data: bytes) -> str | None:
    """The text of ``data`` when TCVN3 or VNI makes clearly more words of it than windows-1258 and -1252 do."""
    sample = data[:_LOOK]
    read = {
        "": max(_words(sample.decode("cp1258", "replace")), _words(sample.decode("cp1252", "replace"))),
        "tcvn3": _words(tcvn3(sample)),
        "vni": _words(vni(sample)),
    }
    best = max(read, key=lambda one: read[one])
    if not best or read[best] <= max(0, read[""]):
        return None
    return tcvn3(data) if best == "tcvn3" else vni(data)


def _words(text: str) -> int:
    """How many words are Vietnamese syllables with marks, less those with marks that are none."""
    score = 0
    for word in unicodedata.normalize("NFC", text).split():
        bare = word.strip(".,;:!?()[]\"'-–/“”")
        if bare.isascii():
            continue
        plain = _MARKS.sub("", unicodedata.normalize("NFD", bare))
        tones = sum(
            one in (_ACUTE, _GRAVE, _HOOK, _TILDE, _DOT) for one in unicodedata.normalize("NFD", bare)
        )
        score += 1 if _SYLLABLE.fullmatch(plain) and tones <= 1 else -1
    return score
