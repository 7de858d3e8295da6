# SPDX-License-Identifier: AGPL-3.0-or-later
"""Header fields written: texts and addresses, folded, in ASCII (RFC 5322 §2.2.3, RFC 2047).

The standard library's folding drops the blank between an encoded and a plain word of a Vietnamese subject now and
then; what is written here reads back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailserver.message.words import encode_words

_LINE = 76
_PLAIN = re.compile(r"[\x20-\x7e]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def text_field(name: str, text: str) -> bytes:
    """An unstructured field (Subject) with its CRLF. Control characters become blanks."""
    clean = " ".join(text.split())
    words = _words(clean)
    return _folded(name, words)


def address_field(name: str, people: Iterable[tuple[str, str]]) -> bytes:
    """An address field (From, To, Cc) with its CRLF; ``people`` are (display name, address) pairs.

    The address must already be one (`mailserver.accounts.model.canonical`), ASCII.
    """
    words: list[str] = []
    for shown, address in people:
        if words:
            words[-1] += ","
        words += [*_phrase(" ".join(shown.split())), f"<{address}>"] if shown.strip() else [address]
    return _folded(name, words)


def _words(text: str) -> list[str]:
    if _PLAIN.fullmatch(text) and "=?" not in text and all(len(word) < 900 for word in text.split(" ")):
        return text.split(" ")
    return encode_words(text).decode("ascii").split(" ")


def _phrase(text: str) -> list[str]:
    if not _PLAIN.fullmatch(text) or "=?" in text:
        return encode_words(text).decode("ascii").split(" ")
    if _ATOMS.fullmatch(text):
        return text.split(" ")
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{quoted}"']


def _folded(name: str, words: list[str]) -> bytes:
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _LINE and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines).encode("ascii") + b"\r\n"
