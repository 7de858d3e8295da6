# SPDX-License-Identifier: AGPL-3.0-or-later
"""Authentication-Results: what was proved, in front of the message (RFC 8601), and nobody else's in our name."""

from __future__ import annotations

import re

from mailserver.senderauth.canon import Field
from mailserver.senderauth.dkim import Dkim
from mailserver.senderauth.dmarc import Dmarc
from mailserver.senderauth.spf import Spf

_NOT_A_VALUE = re.compile(r"[^A-Za-z0-9@._=+/-]")
_ID = re.compile(r"(?:\([^()]*\)|\s)*\"?([^\s;\"()]+)")


def field(server: str, spf: Spf | None, signatures: tuple[Dkim, ...], dmarc: Dmarc) -> bytes:
    """The whole field with its CRLF; no word of a stranger stands in it unfiltered."""
    lines = [f"Authentication-Results: {server}"]
    if spf is not None:
        name = "smtp.mailfrom" if spf.identity == "mailfrom" else "smtp.helo"
        lines.append(f"spf={spf.result} {name}={_value(spf.domain)}")
    for one in signatures:
        known = ""
        if one.domain:
            known = (
                f" header.d={_value(one.domain)} header.s={_value(one.selector)}"
                f" header.a={one.algorithm} header.b={one.mark}"
            )
        reason = f' reason="{_NOT_A_VALUE.sub(" ", one.reason)}"' if one.reason else ""
        lines.append(f"dkim={one.result}{reason}{known}")
    if not signatures:
        lines.append("dkim=none")
    policy = f" (p={dmarc.policy})" if dmarc.result in ("pass", "fail") else ""
    author = f" header.from={_value(dmarc.domain)}" if dmarc.domain else ""
    lines.append(f"dmarc={dmarc.result}{policy}{author}")
    return ";\r\n\t".join(lines).encode("ascii") + b"\r\n"


def is_ours(one: Field, server: str) -> bool:
    """Whether a field claims to be written by ``server``; such a one from outside is a lie (RFC 8601 §5)."""
    if one.name != b"authentication-results":
        return False
    found = _ID.match(one.text)
    return found is not None and found[1].lower().rstrip(".") == server.lower()


def without_ours(data: bytes | bytearray, fields: list[Field], server: str) -> bytes | bytearray:
    """The message without fields that claim to be ours; the same object when there is none."""
    if not any(is_ours(one, server) for one in fields):
        return data
    end = sum(len(one.raw) for one in fields)
    return b"".join(one.raw for one in fields if not is_ours(one, server)) + data[end:]


def _value(text: str) -> str:
    return _NOT_A_VALUE.sub("?", text)[:255] or "?"
