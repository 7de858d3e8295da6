# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bytes of unknown honesty → text: the declared charset, then UTF-8, then what Vietnamese it may be
(TCVN3, VNI, windows-1258), then windows-1252.

Never raises and never loops: any bytes give some text, in time linear in their number.
"""

from __future__ import annotations

import codecs
import unicodedata
from functools import lru_cache

from mailserver.message.vietnamese import likely

# Python codecs that are no charsets of mail, or whose decoding is not linear.
_NEVER = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
_SAYS_LITTLE = frozenset({None, "iso8859-1", "ascii", "cp1252"})  # what senders declare who do not know


@lru_cache(maxsize=256)
def codec(charset: str) -> str | None:
    """The name of the Python codec for a declared charset, or None when there is none to trust."""
    try:
        info = codecs.lookup(charset.strip().strip("'\"").lower()[:40])
        "".encode(info.name)  # refuses codecs that are not text encodings
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if info.name.replace("-", "_") in _NEVER else info.name


def decode(data: bytes, charset: str | None = None) -> str:
    """``data`` as text in NFC. See `written`."""
    text = written(data, charset)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def written(data: bytes, charset: str | None = None) -> str:
    """``data`` as text, in the Unicode form it was written in.

    A declared charset that does not fit is not believed; ``us-ascii`` and ``iso-8859-1`` with high
    bytes are read as UTF-8 first, because that is what the senders of such labels mean.
    """
    if data.isascii():
        name = codec(charset) if charset else None
        if name is None or not name.startswith(("utf-16", "utf-32", "utf-7", "iso2022", "hz")):
            return data.decode("ascii")
    return _decode(data, charset)


def _decode(data: bytes, charset: str | None) -> str:
    name = codec(charset) if charset else None
    if name is not None and name not in _SAYS_LITTLE:
        try:
            return data.decode(name)
        except (UnicodeError, ValueError):
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if name in _SAYS_LITTLE and (old := likely(data)) is not None:
        return old
    if name is None or name == "ascii":
        try:
            return data.decode("cp1258")
        except UnicodeDecodeError:
            pass
    if name == "utf-8":  # mostly good UTF-8 with a broken character
        return data.decode("utf-8", "replace")
    return data.decode("cp1252", "replace")
