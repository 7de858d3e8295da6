# SPDX-License-Identifier: AGPL-3.0-or-later
"""The arguments of MAIL and RCPT: an address and its parameters (RFC 5321 §4.1.2, RFC 3461 §4)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from config.clock import from_datetime, now_us

_PATH = re.compile(
    r"""[ ]*(?:
        <(?:@[^\s<>:]+:)?(?P<inside>(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"|[^\s<>"\x00-\x1f\x7f])*)>
        |(?P<bare>[^\s<>"\x00-\x1f\x7f]+)
    )(?:[ ]+(?P<parameters>.*))?""",
    re.VERBOSE,
)
_ADDRESS = re.compile(
    r"""(?P<local>"(?:[^"\\]|\\.)*"|[^\s@<>()\[\],;:\\"]+)
        @(?P<domain>[^\s@<>()\[\],;:\\"._-](?:[^\s@<>()\[\],;:\\"]*[^\s@<>()\[\],;:\\"._-])?|\[[0-9A-Za-z:.]+\])""",
    re.VERBOSE,
)
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
NOTIFY = ("SUCCESS", "FAILURE", "DELAY")


class BadArgument(Exception):
    """What is wrong with an argument: the reply's code, enhanced code and words."""

    def __init__(self, code: int, enhanced: str, en: str, vi: str) -> None:
        super().__init__(en)
        self.code, self.enhanced, self.en, self.vi = code, enhanced, en, vi


def bad_syntax(en: str) -> BadArgument:
    """A 501 about the form of an argument."""
    return BadArgument(501, "5.5.4", en, "Lệnh sai cú pháp.")


@dataclass(frozen=True, slots=True)
class Path:
    """An address ("" for ``<>``) with its raw parameters, names in capitals."""

    address: str
    parameters: dict[str, str | None] = field(default_factory=dict)


def parse(keyword: str, argument: str) -> Path:
    """``FROM:<a@b> SIZE=1`` → address and parameters; a blank after the colon is let pass. Raises `BadArgument`."""
    if argument[: len(keyword)].upper() != keyword:
        raise bad_syntax(f"Syntax: {'MAIL' if keyword == 'FROM:' else 'RCPT'} {keyword}<address>")
    found = _PATH.fullmatch(argument, len(keyword))
    if found is None:
        raise BadArgument(501, "5.1.3", "Malformed address", "Địa chỉ sai dạng.")
    address = found["inside"] if found["inside"] is not None else found["bare"]
    return Path(address, _parameters(found["parameters"] or ""))


def check_address(address: str, *, sender: bool) -> None:
    """Whether an address can be one at all, within the limits of RFC 5321 §4.5.3.1. Raises `BadArgument`."""
    found = _ADDRESS.fullmatch(address)
    if found is None or len(found["local"].encode()) > 64 or len(address.encode()) > 254:
        enhanced = "5.1.7" if sender else "5.1.3"
        raise BadArgument(553, enhanced, "Malformed address", "Địa chỉ sai dạng, viết theo dạng ten@coquan.")


def _parameters(text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        name = name.upper()
        if not _KEYWORD.fullmatch(name) or name in found or (equals and not value):
            raise bad_syntax("Malformed or repeated parameter")
        found[name] = value if equals else None
    return found


def from_xtext(value: str | None, most: int) -> str:
    """Decode xtext (RFC 3461 §4); at most ``most`` characters. Raises `BadArgument`."""
    if value is None or len(value) > most or not _XTEXT.fullmatch(value):
        raise bad_syntax("Malformed xtext")
    decoded = _HEX.sub(lambda found: chr(int(found[1], 16)), value)
    if not decoded.isascii() or not decoded.isprintable():
        raise bad_syntax("xtext holds printable ASCII")
    return decoded


def hold_until(name: str, value: str | None, most_s: int) -> int:
    """HOLDFOR (seconds) or HOLDUNTIL (date and time) as µs UTC (RFC 4865 §4). Raises `BadArgument`."""
    now = now_us()
    if name == "HOLDFOR":
        if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
            raise bad_syntax("HOLDFOR takes a number of seconds")
        until = now + int(value) * 1_000_000
    else:
        try:
            moment = datetime.fromisoformat(value or "")
        except ValueError:
            raise bad_syntax("HOLDUNTIL takes a date and time") from None
        if moment.tzinfo is None:
            raise bad_syntax("HOLDUNTIL needs a time zone")
        until = from_datetime(moment)
    if until > now + most_s * 1_000_000 or until < now:
        raise BadArgument(
            501,
            "5.5.4",
            f"A message can be held for {most_s} seconds at most, not into the past",
            "Chỉ hẹn gửi được trong thời hạn cho phép, không phải trong quá khứ.",
        )
    return until


def notify_of(value: str | None) -> str:
    """NOTIFY's value in capitals, in one order. Raises `BadArgument`."""
    words = set((value or "").upper().split(","))
    if words == {"NEVER"}:
        return "NEVER"
    if not words <= set(NOTIFY):
        raise bad_syntax("NOTIFY takes NEVER, or SUCCESS, FAILURE, DELAY")
    return ",".join(one for one in NOTIFY if one in words)
