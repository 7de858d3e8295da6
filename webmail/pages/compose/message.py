# SPDX-License-Identifier: AGPL-3.0-or-later
"""A written letter as message bytes (RFC 5322, MIME), 7-bit on the wire so that every server takes it."""

from __future__ import annotations

import email.policy
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from config.clock import VIETNAM
from mailserver.accounts.model import domain_of
from mailserver.message.fields import address_field, text_field
from webmail.pages.compose.forms import BadRecipient, Upload

_WIRE = email.policy.SMTP.clone(cte_type="7bit", max_line_length=76)
_TYPE = re.compile(r"([a-z0-9][a-z0-9.+-]{0,60})/([a-z0-9][a-z0-9.+-]{0,80})\Z")
_MOST_REFERENCES = 30


@dataclass(frozen=True, slots=True)
class Thread:
    """The ids that tie an answer to what it answers."""

    message_id: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """All that goes into a message. People are (name, address)."""

    sender: tuple[str, str]
    to: Sequence[tuple[str, str]]
    cc: Sequence[tuple[str, str]]
    subject: str
    body: str
    files: Sequence[Upload]
    thread: Thread | None = None
    real_sender: tuple[str, str] | None = None
    """Who writes on behalf of ``sender``."""


def built(content: Content, host: str) -> bytes:
    """The message's bytes with its trace field in front. Raises `BadRecipient`."""
    now = datetime.now(VIETNAM)
    head = [
        f"Received: by {host} (web) with HTTP;\r\n\t{format_datetime(now)}\r\n".encode("ascii"),
        address_field("From", [_person(content.sender)]),
    ]
    if content.real_sender is not None:
        head.append(address_field("Sender", [_person(content.real_sender)]))
    if content.to:
        head.append(address_field("To", map(_person, content.to)))
    if content.cc:
        head.append(address_field("Cc", map(_person, content.cc)))
    head.append(text_field("Subject", content.subject))
    made = EmailMessage(policy=_WIRE)
    made["Date"] = now
    made["Message-ID"] = f"<{secrets.token_hex(16)}@{domain_of(content.sender[1])}>"
    if content.thread is not None:
        known = [*content.thread.references, content.thread.message_id]
        made["In-Reply-To"] = content.thread.message_id
        made["References"] = " ".join(known[-_MOST_REFERENCES:])
    made.set_content(
        content.body, charset="utf-8", cte=None if content.body.isascii() else "quoted-printable"
    )
    for one in content.files:
        found = _TYPE.match(one.type.lower())
        main, sub = (found[1], found[2]) if found else ("application", "octet-stream")
        if main in ("message", "multipart", "text"):
            main, sub = "application", "octet-stream"
        made.add_attachment(one.data, maintype=main, subtype=sub, filename=one.name)
    return b"".join(head) + made.as_bytes()


def _person(person: tuple[str, str]) -> tuple[str, str]:
    """The same, once the standard library's parser took the address."""
    name, address = person
    try:
        Address(display_name=name, addr_spec=address)
    except (ValueError, IndexError) as problem:  # that parser raises both
        raise BadRecipient(
            "bad-address",
            f"Địa chỉ {address} viết chưa đúng.",
            f"The address {address} is not written correctly.",
        ) from problem
    if not address.isascii():
        raise BadRecipient(
            "bad-address",
            f"Địa chỉ {address} có chữ có dấu; hãy dùng địa chỉ không dấu.",
            f"The address {address} has letters outside ASCII; please use a plain one.",
        )
    return person
