# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bytes of a mail → the facts its rules are judged by (DESIGN 4.9)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from config.clock import now_us
from mailserver.accounts import Account, Accounts
from mailserver.accounts.model import domain_of
from mailserver.hygiene import attachments
from mailserver.hygiene.verdict import Scan
from mailserver.message import Part, Summary, body_bytes, scan, written_text
from policy.facts import TEXT_LIMIT, Attachment, Door, MailFacts, Moment, Recipient, SenderFacts

_REASON = ("lý do:", "ly do:", "reason:")
_PDF_SIGNATURE = b"/ETSI.CAdES.detached"
_RESENT = re.compile(rb"^resent-(?:to|cc|bcc):(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_MOST_OCTETS = 12  # of a character: four of UTF-8, each three in quoted-printable
_LONGEST_REASON = 2000
_LOOKED_INTO = 64 * 1024 * 1024


def mail_facts(
    data: bytes,
    summary: Summary,
    *,
    door: Door,
    sender: str,
    recipients: Sequence[str],
    accounts: Accounts | None,
    account: Account | None = None,
    reason: str | None = None,
    moment: Moment = "send",
    sender_check: SenderFacts | None = None,
    scanned: Scan = "not-scanned",
    malware: str | None = None,
) -> MailFacts:
    """The facts of a mail. Without ``accounts`` (offline) every sender counts as ours, so that a file
    can be tested as if it were sent from here.
    """
    text = _text(data, summary)
    budget = attachments.Budget()
    return MailFacts(
        moment=moment,
        door=door,
        at_us=now_us(),
        sender=sender,
        sender_domain=domain_of(sender),
        sender_is_ours=account is not None or accounts is None or accounts.is_ours(sender),
        recipients=tuple(_recipient(one, accounts) for one in recipients),
        sender_role=account.role if account is not None else None,
        subject=summary.subject,
        text=text,
        attachments=tuple(
            _attachment(data, part, budget, scanned) for part in summary.parts if _is_attachment(part)
        ),
        reason=reason or _reason(text),
        size=len(data),
        sender_check=sender_check,
        malware=malware,
    )


def facts_of_file(data: bytes, accounts: Accounts | None, moment: Moment) -> MailFacts:
    """The facts of an ``.eml`` file: recipients from To, Cc, Bcc and Resent-*, sender from From."""
    summary = scan(data)
    found = [one.address for one in (*summary.to, *summary.cc, *summary.bcc) if one.address]
    for line in _resent(data, summary):
        again = scan(b"To: " + line + b"\r\n\r\n")
        found += [one.address for one in again.to if one.address]
    sender = summary.from_[0].address if summary.from_ else ""
    return mail_facts(
        data,
        summary,
        door="submission" if moment == "send" else "mx",
        sender=sender,
        recipients=list(dict.fromkeys(found)),
        accounts=accounts,
        moment=moment,
    )


def _recipient(address: str, accounts: Accounts | None) -> Recipient:
    home = accounts.agency_of_domain(domain_of(address)) if accounts is not None else None
    return Recipient(
        address=address,
        domain=domain_of(address),
        ours=home is not None and not home.elsewhere,
        agency_code=home.code if home is not None else None,
        on_document_system=home is not None,
    )


def _text(data: bytes, summary: Summary) -> str:
    for part in summary.parts:
        if part.type in ("text/plain", "text/html") and part.disposition != "attachment":
            return written_text(data, part, _MOST_OCTETS * TEXT_LIMIT)[:TEXT_LIMIT]
    return ""


def _reason(text: str) -> str | None:
    beginning = unicodedata.normalize("NFC", text.lstrip()[:_LONGEST_REASON])
    first = beginning.split("\n", 1)[0].strip()
    for mark in _REASON:
        if first.lower().startswith(mark):
            return first[len(mark) :].strip()[:500] or None
    return None


def _is_attachment(part: Part) -> bool:
    """Everything that is no text of the letter itself, also a message that is nothing but one file."""
    if part.is_multipart or part.is_message:
        return False
    return part.filename is not None or part.disposition == "attachment" or not part.type.startswith("text/")


def _attachment(data: bytes, part: Part, budget: attachments.Budget, scanned: Scan) -> Attachment:
    content = body_bytes(data, part) if part.size <= _LOOKED_INTO else b""
    detected, troubles = attachments.inspect(part.filename or "", content, budget)
    signed = detected == "application/pdf" and content.count(_PDF_SIGNATURE) >= 2
    return Attachment(
        filename=part.filename or "",
        declared_type=part.type,
        detected_type=detected,
        size=len(content),
        is_official_document=signed or (part.filename or "").lower().endswith(".edxml"),
        official_by_signature=signed,
        troubles=tuple((one.trouble, one.where) for one in troubles),
        scan=scanned,
    )


def _resent(data: bytes, summary: Summary) -> list[bytes]:
    top = summary.parts[0]
    return [found.group(1) for found in _RESENT.finditer(data[top.header_start : top.body_start])]
