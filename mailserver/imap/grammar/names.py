# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3), or UTF-8 once enabled (RFC 9051 §5.1, RFC 6855 §3).

INBOX is taken in any case (Q19, Q20).
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_WIDE = re.compile(r"[^\x20-\x7e]+")


def decode_name(raw: bytes, *, utf8: bool = False) -> str:
    """The name a client means, NFC. Bytes that are UTF-8 are taken as such, a wrong ``&`` as itself.

    ``utf8``: the session has no modified UTF-7, so every ``&`` is itself.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    if not utf8 and "&" in text:
        text = _SHIFTED.sub(_unshift, text)
    text = unicodedata.normalize("NFC", text)
    first, slash, rest = text.partition("/")
    return "INBOX" + slash + rest if first.upper() == "INBOX" else text


def _unshift(match: re.Match[str]) -> str:
    inner = match[1]
    if not inner:
        return "&"
    try:
        octets = base64.b64decode(inner.replace(",", "/") + "=" * (-len(inner) % 4))
        return octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return match[0]


def encode_name(name: str) -> bytes:
    """``name`` in modified UTF-7."""
    if name.isascii() and name.isprintable():
        return name.replace("&", "&-").encode("ascii")
    out: list[str] = []
    position = 0
    for match in _WIDE.finditer(name):
        out.append(name[position : match.start()].replace("&", "&-"))
        octets = match[0].encode("utf-16-be", "replace")
        out.append("&" + base64.b64encode(octets).decode("ascii").rstrip("=").replace("/", ",") + "-")
        position = match.end()
    out.append(name[position:].replace("&", "&-"))
    return "".join(out).encode("ascii")
