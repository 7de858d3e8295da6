# SPDX-License-Identifier: AGPL-3.0-or-later
"""Addresses that look like another (pitfall S38): scripts mixed in one label, letters that pass for Latin ones.

Latin with the marks of Vietnamese is what people here write and is never odd. The test is that of UTS 39's
single-script level, narrowed to what a mail address needs.
"""

from __future__ import annotations

import unicodedata

_VIETNAMESE = frozenset(
    "aăâbcdđeêghiklmnoôơpqrstuưvxyfjwzáàảãạắằẳẵặấầẩẫậéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ"
)
_LIKE_LATIN = frozenset("аеорсухіјѕԁԛԝһҽӏցոսօνοαρικυηωᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢıɡɩℓ")
"""Letters of other scripts, and odd Latin ones, that a reader takes for Latin."""
_TOGETHER = (
    {"CJK", "HIRAGANA", "KATAKANA", "LATIN"},
    {"CJK", "HANGUL", "LATIN"},
    {"CJK", "BOPOMOFO", "LATIN"},
)


def odd_label(domain: str) -> str | None:
    """The first label (decoded) that mixes scripts or is made of letters that pass for Latin ones; None if all are plain."""
    for label in domain.lower().split("."):
        shown = _decoded(label)
        if shown is None:
            return label
        if not shown.isascii() and _is_odd(shown):
            return shown
    return None


def _decoded(label: str) -> str | None:
    if not label.startswith("xn--"):
        return unicodedata.normalize("NFC", label)
    try:
        return unicodedata.normalize("NFC", label[4:].encode("ascii").decode("punycode"))
    except (UnicodeError, ValueError):
        return None


def _is_odd(label: str) -> bool:
    letters = [one for one in label if one.isalpha()]
    if all(one in _VIETNAMESE for one in letters):
        return not all(one.isalnum() or one in "-_" for one in label)
    if all(one in _LIKE_LATIN or one in _VIETNAMESE for one in letters):
        return True
    scripts = {unicodedata.name(one, "?").partition(" ")[0].partition("-")[0] for one in letters}
    return len(scripts) > 1 and not any(scripts <= one for one in _TOGETHER)
