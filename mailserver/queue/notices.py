# SPDX-License-Identifier: AGPL-3.0-or-later
"""Delivery status notices to senders (RFC 3464, RFC 6522), in Vietnamese and English.

A notice tells what happened to each recipient, why in words, and brings the header of the original. It is
never sent for a message with the empty sender, and never against the sender's NOTIFY (RFC 3461 §4.1).
"""

from __future__ import annotations

import re
import secrets
from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import Header
from email.utils import format_datetime
from typing import Literal, TypeAlias

from config.clock import now_us, to_local

Action: TypeAlias = Literal["failed", "delayed", "delivered", "relayed"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_LONGEST = 600
_HEADER = 64 * 1024
_MOST_RETURNED = 1024 * 1024
_TITLES: dict[Action, tuple[str, str]] = {
    "failed": ("Thư không gửi được", "Undelivered mail"),
    "delayed": ("Thư bị chậm", "Delayed mail"),
    "delivered": ("Thư đã đến hộp thư", "Mail delivered"),
    "relayed": ("Thư đã chuyển sang máy chủ khác", "Mail relayed"),
}
_WORDS: dict[Action, tuple[str, str]] = {
    "failed": (
        "Thư của anh/chị KHÔNG đến được những người nhận dưới đây và máy chủ sẽ không gửi lại nữa. "
        "Hãy kiểm tra địa chỉ, hoặc liên hệ người nhận bằng cách khác rồi gửi lại.",
        "Your message could NOT be delivered to the recipients below and will not be tried again. "
        "Please check the address or reach the recipient in another way, then send it again.",
    ),
    "delayed": (
        "Thư của anh/chị CHƯA đến được những người nhận dưới đây. Máy chủ vẫn giữ thư và tiếp tục gửi; "
        "anh/chị không cần gửi lại.",
        "Your message has NOT YET been delivered to the recipients below. The server keeps it and goes on "
        "trying; you need not send it again.",
    ),
    "delivered": (
        "Thư của anh/chị đã được đặt vào hộp thư của những người nhận dưới đây.",
        "Your message was put into the mailboxes of the recipients below.",
    ),
    "relayed": (
        "Thư của anh/chị đã được máy chủ của người nhận tiếp nhận; máy chủ đó không gửi thông báo kết quả.",
        "Your message was taken by the recipients' server, which sends no notices of delivery.",
    ),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to one recipient. ``status`` as in RFC 3463; ``answer`` what was said; ``remote`` by whom."""

    recipient: str
    original: str
    status: str
    answer: str
    remote: str = ""
    until_us: int | None = None


def wanted(action: Action, notify: str, sender: str, *, asked_only: bool = False) -> bool:
    """Whether the sender is told. Without NOTIFY failures are told, and delays unless ``asked_only``."""
    if not sender or notify == "NEVER":
        return False
    words = notify.split(",") if notify else []
    match action:
        case "failed":
            return not words or "FAILURE" in words
        case "delayed":
            return "DELAY" in words or (not words and not asked_only)
        case _:
            return "SUCCESS" in words


def build(
    action: Action,
    *,
    hostname: str,
    sender: str,
    envelope_id: str,
    arrived_us: int,
    original: bytes,
    reports: Sequence[Report],
    whole: bool = False,
) -> bytes:
    """The notice to ``sender`` about ``original`` (the whole message), with CRLF line ends.

    ``whole``: the sender asked to have all of it back (RET=FULL, RFC 3461 §4.3); above 1 MiB it is the header only.
    """
    now = now_us()
    header = _header_of(original)
    utf8 = not header.isascii() or any(not one.recipient.isascii() for one in reports)
    kind = "global-" if utf8 else ""
    boundary = f"=_{secrets.token_hex(16)}"
    vi, en = _TITLES[action]
    top = [
        "Return-Path: <>",
        f"Date: {format_datetime(to_local(now))}",
        f"From: {Header('Máy chủ thư', 'utf-8').encode()} <MAILER-DAEMON@{hostname}>",
        f"To: <{_clean(sender)}>",
        f"Subject: {Header(f'{vi} / {en}', 'utf-8').encode()}".replace("\n", "\r\n"),
        f"Message-ID: <{secrets.token_hex(16)}@{hostname}>",
        *_about(header),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        "",
    ]
    text = _text(action, reports).replace("\n", "\r\n").encode("utf-8")
    parts = [
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encodebytes(text).replace(b"\n", b"\r\n"),
        f"Content-Type: message/{kind}delivery-status\r\n\r\n".encode()
        + _status(action, hostname, envelope_id, arrived_us, reports, now),
        _returned(original, header, whole=whole, utf8=utf8),
    ]
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts)
    return "\r\n".join(top).encode("utf-8") + body + mark + b"--\r\n"


def _text(action: Action, reports: Sequence[Report]) -> str:
    vi, en = _WORDS[action]
    lines = "\n".join(f"  <{_clean(one.recipient)}>\n      {_clean(one.answer)}" for one in reports)
    return f"{vi}\n\n{lines}\n\n----\n{en}\n\n{lines}\n"


def _status(
    action: Action, hostname: str, envelope_id: str, arrived_us: int, reports: Sequence[Report], now: int
) -> bytes:
    lines = [f"Reporting-MTA: dns; {hostname}"]
    if envelope_id:
        lines.append(f"Original-Envelope-Id: {_clean(envelope_id)}")
    lines += [f"Arrival-Date: {format_datetime(to_local(arrived_us))}", ""]
    for one in reports:
        if one.original:
            lines.append(f"Original-Recipient: {_clean(one.original)}")
        kind = "rfc822" if one.recipient.isascii() else "utf-8"
        lines += [
            f"Final-Recipient: {kind}; {_clean(one.recipient)}",
            f"Action: {action}",
            f"Status: {one.status}",
        ]
        if one.remote:
            lines.append(f"Remote-MTA: dns; {_clean(one.remote)}")
        if one.answer and one.remote:
            lines.append(f"Diagnostic-Code: smtp; {_clean(one.answer)}")
        lines.append(f"Last-Attempt-Date: {format_datetime(to_local(now))}")
        if one.until_us is not None:
            lines.append(f"Will-Retry-Until: {format_datetime(to_local(one.until_us))}")
        lines.append("")
    return "\r\n".join(lines).encode("utf-8")


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text)[:_LONGEST]


def _returned(original: bytes, header: bytes, *, whole: bool, utf8: bool) -> bytes:
    """The third part (RFC 6522 §3): what is given back of the original."""
    if whole and len(original) <= _MOST_RETURNED:
        start = original.find(b"\n") + 1 if original[:12].lower() == b"return-path:" else 0
        kind = b"message/global" if utf8 else b"message/rfc822"
        bits = b"7bit" if original.isascii() else b"8bit"
        return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (kind, bits, original[start:])
    if utf8:
        return b"Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + header
    return b"Content-Type: text/rfc822-headers\r\n\r\n" + header


def _header_of(original: bytes) -> bytes:
    """The header of the original without our Return-Path, at most 64 KiB of whole lines, CRLF."""
    end = original.find(b"\r\n\r\n", 0, _HEADER)
    header = original[: end + 2] if end >= 0 else original[: original.rfind(b"\n", 0, _HEADER) + 1]
    if header[:12].lower() == b"return-path:":
        header = header[header.index(b"\n") + 1 :]
    return header


def _about(header: bytes) -> list[str]:
    found = re.search(rb"(?:^|\n)message-id:[ \t\r\n]*(<[!-~]{1,500}>)", header, re.IGNORECASE)
    if found is None:
        return []
    number = found[1].decode("ascii")
    return [f"In-Reply-To: {number}", f"References: {number}"]
