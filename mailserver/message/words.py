# SPDX-License-Identifier: AGPL-3.0-or-later
"""Header text: unfolding, encoded words (RFC 2047) read and written."""

from __future__ import annotations

import base64
import binascii
import re

from mailserver.message.charsets import decode

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_ENCODED = re.compile(rb"=\?([!-<>-~]{1,40})\?([bBqQ])\?([^? \t\r\n]{0,8192})\?=")
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+")
_BAD_ON_WIRE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f-\xff]")
_CHUNK = 45  # UTF-8 octets of one encoded word: 60 of base64 and 12 of frame stay under RFC 2047's 75


def unfold(raw: bytes) -> bytes:
    """A header value on one line (RFC 5322 §2.2.3): the line ends go, the white space stays."""
    if b"\n" in raw:
        raw = _FOLD.sub(b"", raw)
    return raw.strip(b" \t\r\n")


def header_text(raw: bytes) -> str:
    """A raw header value as text for people: unfolded, encoded words decoded, NFC, no control characters."""
    if raw.isascii() and b"=?" not in raw:
        plain = raw.decode("ascii")
        if plain.isprintable():
            return plain.strip(" ")
    raw = unfold(raw)
    if b"=?" not in raw:
        text = decode(raw)
    else:
        text = _decode_words(raw)
    return _CONTROL.sub(" ", text) if not text.isprintable() else text


def _decode_words(raw: bytes) -> str:
    out: list[str] = []
    pending, charset = b"", ""  # neighbours of one charset are joined first: senders cut inside characters
    position = 0
    for match in _ENCODED.finditer(raw):
        between = raw[position : match.start()]
        name = match[1].partition(b"*")[0].decode("ascii").lower()
        octets = _word(match[2], match[3])
        glued = bool(charset) and not between.strip(b" \t")
        if not (glued and name == charset):
            if charset:
                out.append(decode(pending, charset))
                pending = b""
            if not glued and between:
                out.append(decode(between))
        pending, charset = pending + octets if len(pending) < 65536 else pending, name
        position = match.end()
    if charset:
        out.append(decode(pending, charset))
    out.append(decode(raw[position:]))
    return "".join(out)


def _word(kind: bytes, text: bytes) -> bytes:
    if kind in b"bB":
        try:
            return base64.b64decode(text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4))
        except (binascii.Error, ValueError):
            return text
    return _QUOTED.sub(lambda one: bytes([int(one[1], 16)]), text.replace(b"_", b" "))


def encode_words(text: str) -> bytes:
    """``text`` as RFC 2047 encoded words (UTF-8, base64), ASCII only."""
    out: list[bytes] = []
    chunk: list[bytes] = []
    size = 0
    for character in text:
        octets = character.encode("utf-8", "replace")
        if size + len(octets) > _CHUNK:
            out.append(b"".join(chunk))
            chunk, size = [], 0
        chunk.append(octets)
        size += len(octets)
    out.append(b"".join(chunk))
    return b" ".join(b"=?utf-8?b?" + base64.b64encode(one) + b"?=" for one in out if one)


def nstring(raw: bytes | None) -> bytes:
    """An IMAP nstring of an unfolded value: quoted, ASCII only; 8-bit is RFC 2047-encoded (Q21)."""
    if raw is None:
        return b"NIL"
    if _BAD_ON_WIRE.search(raw):
        raw = encode_words(header_text(raw))
    if b"\\" in raw or b'"' in raw:
        raw = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + raw + b'"'
