# SPDX-License-Identifier: AGPL-3.0-or-later
"""Answers that programs write: who may get one (RFC 3834 §2, RFC 5230 §4.5), and what they look like.

They go to the envelope's sender, from the null sender, marked as automatic; answers are never answered.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from email.utils import format_datetime

from config.clock import now_us, to_local
from config.refusal import Refused
from mailserver.accounts import AccountRef
from mailserver.accounts.model import canonical, domain_of
from mailserver.message import fold_line
from mailserver.message.fields import address_field, text_field
from mailserver.sieve import Letter
from mailserver.store import blobs

_NOBODY = re.compile(
    r"(?:mailer-daemon|postmaster|daemon|listserv|majordomo|no-?reply|do-?not-?reply|bounces?[+=-].*|bounce|owner-.*|.*-request|.*-owner"
    r"|.*-bounces?)\Z",
    re.IGNORECASE,
)
_BULK = ("bulk", "list", "junk")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer ready for the transaction: once for each ``whom`` in ``seconds``, as `sieve.answered` counts.

    ``seconds`` 0: no such limit (a rejection). ``most``: how many senders ``who`` may have answered lately, 0 for any
    number.
    """

    who: AccountRef
    to: str
    prepared: blobs.Prepared
    whom: bytes = b""
    seconds: float = 0.0
    most: int = 0


def answerable(letter: Letter, own: set[str]) -> bool:
    """Whether a program may answer this letter; ``own`` are the addresses of who answers."""
    sender = letter.sender.lower()
    if not sender or "@" not in sender or sender in own or _NOBODY.match(sender.rpartition("@")[0]):
        return False
    try:
        canonical(sender)
    except Refused:
        return False
    automatic = [one.lower() for one in letter.header("auto-submitted")]
    if any(one.partition(";")[0].strip() != "no" for one in automatic):
        return False
    if any(one.strip().lower() in _BULK for one in letter.header("precedence")):
        return False
    marks = (
        "list-id",
        "list-help",
        "list-unsubscribe",
        "list-post",
        "list-owner",
        "x-auto-response-suppress",
        "x-loop",
    )
    return not any(letter.has(one) for one in (*marks, "x-autoreply", "x-autorespond"))


def addressed(letter: Letter, own: set[str]) -> bool:
    """Whether one of ``own`` stands in To, Cc, Bcc or their Resent forms (RFC 5230 §4.5)."""
    for name in ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"):
        for field in letter.addresses(name):
            if any(one.address.lower() in own for one in field):
                return True
    return False


def written(
    letter: Letter,
    *,
    sender: tuple[str, str],
    subject: str,
    text: str,
    kind: str = "auto-replied",
    mime: bool = False,
) -> bytes:
    """The bytes of an answer; ``sender`` is (name, address); ``mime``: ``text`` has its own MIME fields."""
    now = now_us()
    head = [
        b"Return-Path: <>\r\n",
        f"Date: {format_datetime(to_local(now))}\r\n".encode("ascii"),
        address_field("From", [sender]),
        address_field("To", [("", letter.sender)]),
        text_field("Subject", subject[:500]),
        f"Message-ID: <{secrets.token_hex(16)}@{domain_of(sender[1])}>\r\n".encode("ascii"),
        f"Auto-Submitted: {kind}\r\n".encode("ascii"),
        b"X-Auto-Response-Suppress: All\r\n",
        b"Precedence: bulk\r\n",
    ]
    answered = letter.summary.message_id
    if answered and answered.isascii() and re.fullmatch(r"<[!-~]{1,500}>", answered):
        head.append(f"In-Reply-To: {answered}\r\nReferences: {answered}\r\n".encode("ascii"))
    lines = "\r\n".join(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    if mime:
        return b"".join(head) + b"MIME-Version: 1.0\r\n" + lines.encode("utf-8", "replace")
    head.append(b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n")
    head.append(b"Content-Transfer-Encoding: 8bit\r\n")
    return b"".join(head) + b"\r\n" + lines.rstrip().encode("utf-8", "replace") + b"\r\n"


def subject_of(letter: Letter, given: str) -> str:
    """What the script says, else ``Trả lời tự động`` with the letter's own subject (RFC 5230 §4.4)."""
    if given:
        return given
    subject = letter.summary.subject
    return subject if fold_line(subject).startswith("tra loi tu dong") else f"Trả lời tự động: {subject}"
