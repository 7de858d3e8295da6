# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a mail server writes in front of a message, and what it looks at there (RFC 5321 §4.4, §6.3)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from email.utils import format_datetime
from functools import lru_cache

from config.clock import to_local

MOST_RECEIVED = 50
"""More Received fields than that are a loop."""

_HEADER_LIMIT = 1024 * 1024
_RECEIVED = re.compile(rb"(?:^|\n)received[ \t]*:", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"(?:^|\n)message-id[ \t]*:", re.IGNORECASE)
_DATE = re.compile(rb"(?:^|\n)date[ \t]*:", re.IGNORECASE)
_NOT_IN_HELO = re.compile(r"[^A-Za-z0-9.:\[\]_-]")


@dataclass(frozen=True, slots=True)
class Hop:
    """One acceptance of a message: who gave it, how, when (µs UTC)."""

    helo: str
    address: str
    hostname: str
    protocol: str
    number: str
    at_us: int
    tls: str = ""


def new_number() -> str:
    """The id of an acceptance, as it stands in Received, in the 250 and in the log."""
    return secrets.token_hex(8)


def protocol(*, extended: bool, tls: bool, signed_in: bool, utf8: bool, lmtp: bool = False) -> str:
    """The ``with`` word (RFC 3848, RFC 6531 §4.3): ``ESMTPSA``, ``UTF8LMTP``."""
    if not extended:
        return "SMTP"
    return (
        ("UTF8" if utf8 else "" if lmtp else "E")
        + ("LMTP" if lmtp else "SMTP")
        + ("S" if tls else "")
        + ("A" if signed_in else "")
    )


def fields(hop: Hop, sender: str, recipients: list[str]) -> bytes:
    """``Return-Path`` and ``Received``, with CRLFs. A recipient is named only when it is the only one."""
    literal = f"IPv6:{hop.address}" if ":" in hop.address else hop.address
    known = f"[{literal}]" if literal else "local"
    helo = _NOT_IN_HELO.sub("?", hop.helo)[:255] or known
    tls = f"\r\n\t({hop.tls})" if hop.tls else ""
    to = f"\r\n\tfor <{recipients[0]}>" if len(recipients) == 1 else ""
    return (
        f"Return-Path: <{sender}>\r\n"
        f"Received: from {helo} ({known})\r\n\tby {hop.hostname} with {hop.protocol} id {hop.number}{tls}{to};"
        f"\r\n\t{_moment(hop.at_us // 1_000_000)}\r\n"
    ).encode()


@lru_cache(maxsize=4)
def _moment(seconds: int) -> str:
    return format_datetime(to_local(seconds * 1_000_000))


class HeaderTooLarge(Exception):
    """The header alone is larger than 1 MiB."""


def header_of(data: bytes | bytearray) -> bytes:
    """The header section, without the empty line. Raises `HeaderTooLarge`."""
    if data.startswith(b"\r\n"):
        return b""
    end = data.find(b"\r\n\r\n", 0, _HEADER_LIMIT)
    if end < 0:
        if len(data) > _HEADER_LIMIT:
            raise HeaderTooLarge
        return bytes(data)
    return bytes(data[: end + 2])


def hops(header: bytes) -> int:
    """How many Received fields there are."""
    return len(_RECEIVED.findall(header))


def missing_fields(header: bytes, domain: str, at_us: int) -> bytes:
    """Message-ID and Date lines for a submission that has none (RFC 6409 §8.2, §8.3)."""
    added = b""
    if not _DATE.search(header):
        added += f"Date: {format_datetime(to_local(at_us))}\r\n".encode()
    if not _MESSAGE_ID.search(header):
        added += f"Message-ID: <{secrets.token_hex(16)}@{domain}>\r\n".encode()
    return added
