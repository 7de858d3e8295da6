# SPDX-License-Identifier: AGPL-3.0-or-later
"""SPF macros (RFC 7208 §7): ``%{ir}.%{v}._spf.%{d2}``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote

from mailserver.dns.resolver import Address

_PIECE = re.compile(r"%(?:\{([slodiphcrtv])(\d*)(r?)([.+,/_=-]*)\}|([%_-]))", re.IGNORECASE)
_LITERALS = {"%": "%", "_": " ", "-": "%20"}
_LONGEST = 253


class BadMacro(Exception):
    """Not a macro string: the record is a permanent error."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is being checked: the values of the macro letters."""

    address: Address
    sender: str
    helo: str
    receiver: str
    at_s: int

    @property
    def local_part(self) -> str:
        """Of the sender, ``postmaster`` when it has none (RFC 7208 §4.3)."""
        return self.sender.rpartition("@")[0] or "postmaster"

    @property
    def domain(self) -> str:
        """Of the sender."""
        return self.sender.rpartition("@")[2]


async def expand(
    text: str,
    subject: Subject,
    domain: str,
    validated: Callable[[], Awaitable[str]],
    *,
    explaining: bool = False,
) -> str:
    """``text`` with its macros filled in; ``validated`` gives ``%{p}``. ``c``, ``r``, ``t`` only in explanations.

    A name that is too long loses labels on the left (RFC 7208 §7.3). Raises `BadMacro`.
    """
    out: list[str] = []
    position = 0
    for found in _PIECE.finditer(text):
        between = text[position : found.start()]
        if "%" in between:
            raise BadMacro(between)
        out.append(between)
        position = found.end()
        if found[5]:
            out.append(_LITERALS[found[5]])
            continue
        letter = found[1].lower()
        if letter in "crt" and not explaining:
            raise BadMacro(found[0])
        value = await validated() if letter == "p" else _letter(letter, subject, domain)
        value = _transformed(value, found[2], bool(found[3]), found[4])
        out.append(quote(value, safe="-._~") if found[1].isupper() else value)
    rest = text[position:]
    if "%" in rest:
        raise BadMacro(rest)
    whole = "".join([*out, rest])
    if explaining:
        return whole
    whole = whole.rstrip(".")
    while len(whole) > _LONGEST and "." in whole:
        whole = whole.partition(".")[2]
    return whole


def _letter(letter: str, subject: Subject, domain: str) -> str:
    match letter:
        case "s":
            return f"{subject.local_part}@{subject.domain}"
        case "l":
            return subject.local_part
        case "o":
            return subject.domain
        case "d":
            return domain
        case "i":
            if isinstance(subject.address, IPv6Address):
                return ".".join(subject.address.exploded.replace(":", "").upper())
            return str(subject.address)
        case "v":
            return "ip6" if subject.address.version == 6 else "in-addr"
        case "h":
            return subject.helo
        case "c":
            return str(subject.address)
        case "r":
            return subject.receiver
        case _:
            return str(subject.at_s)


def _transformed(value: str, digits: str, backwards: bool, delimiters: str) -> str:
    if digits and int(digits) == 0:
        raise BadMacro(digits)
    parts = re.split("[" + re.escape(delimiters or ".") + "]", value)
    if backwards:
        parts.reverse()
    if digits:
        parts = parts[-int(digits[:4]) :]
    return ".".join(parts)
