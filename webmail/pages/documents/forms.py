# SPDX-License-Identifier: AGPL-3.0-or-later
"""The issuing form as values, and at which of its fields a refusal belongs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flask import request

from config.refusal import Refused
from exchange.documents import kinds
from exchange.signing.pdf.compose import Draft, compose_draft
from mailserver.accounts import Account, Agency
from webmail.catalogue import say

_LINE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_MARK = re.compile(r"[0-9a-f]{16,64}\Z")
_LONGEST_TEXT = 200_000
_MOST = 2_000
_MOST_ANNEXES = 40
_BETWEEN = re.compile(r"[,;\s]+")
_SAID = re.compile(r"\[(R-[A-Z]+-\d+)\] (.*?) \(([^()]*(?:\([^()]*\)[^()]*)*)\)(?= \[R-|$)", re.DOTALL)

_BY_CODE = {
    "bad-subject": "subject",
    "unknown-kind": "kind",
    "unit-needed": "unit",
    "bad-notation": "unit",
    "no-recipient": "to",
    "to-itself": "to",
    "no-such-agency": "to",
    "agency-closed": "to",
    "no-encryption-certificate": "to",
    "wrong-role": "signer",
    "not-of-agency": "signer",
    "no-certificate": "others",
    "signer-twice": "others",
    "too-many-signers": "others",
    "too-many-annexes": "annex",
    "document-too-large": "pdf",
    "nothing-to-issue": "pdf",
    "not-approved": "pdf",
}
_BY_RULE = {
    "R-MET-01": "subject",
    "R-MET-06": "to",
    "R-ORG-03": "to",
    "R-ISS-01": "kind",
    "R-NUM-06": "unit",
    "R-SIG-05": "signer",
    "R-SIG-06": "signer",
    "R-ISS-03": "signer",
    "R-ISS-04": "pdf",
}
FIELDS = ("pdf", "annex", "others", "kind", "unit", "subject", "to", "signer")


@dataclass(frozen=True, slots=True)
class Note:
    """What a rule or a check said: rule id ("" for a plain check), words, basis as it is shown."""

    rule: str
    text: str
    basis: str


@dataclass(frozen=True, slots=True)
class Issuing:
    """The form. ``pdf`` are the bytes of the chosen file, empty when it is composed from ``text``."""

    mark: str
    kind: str = ""
    unit: str = ""
    subject: str = ""
    signer: str = ""
    to: tuple[str, ...] = ()
    text: str = ""
    filter: str = ""
    file_name: str = ""
    approved: bool = False
    pdf: bytes = field(default=b"", repr=False)
    initials: str = ""
    co_signers: str = ""
    "Addresses with commas between them, in the order of signing."
    annexes: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    draft_only: bool = False
    "The clerk keeps a draft for its signers instead of issuing at once."


def written() -> Issuing:
    """The form of this request."""
    form = request.form
    upload = request.files.get("pdf")
    data = upload.read() if upload is not None and upload.filename else b""
    mark = form.get("mark", "")
    return Issuing(
        mark if _MARK.match(mark) else "",
        line(form.get("kind", ""))[:60],
        line(form.get("unit", ""))[:30],
        line(form.get("subject", ""))[:_MOST],
        line(form.get("signer", ""))[:254],
        tuple(dict.fromkeys(line(one)[:50] for one in form.getlist("to")[:_MOST] if one.strip())),
        form.get("text", "").replace("\r\n", "\n")[:_LONGEST_TEXT],
        line(form.get("filter", ""))[:100],
        line(upload.filename or "")[-150:] if upload is not None and data else "",
        form.get("approved") == "1",
        data,
        line(form.get("initials", ""))[:_MOST],
        line(form.get("co_signers", ""))[:_MOST],
        tuple(
            (line(one.filename or "")[-150:], one.read())
            for one in request.files.getlist("annex")[:_MOST_ANNEXES]
            if one.filename
        ),
        form.get("do") == "draft",
    )


def addresses(text: str) -> tuple[str, ...]:
    """The addresses of a field with commas between them."""
    return tuple(one.strip() for one in _BETWEEN.split(text) if one.strip())


def line(text: str) -> str:
    """One line without control characters."""
    return _LINE.sub(" ", text).strip()


def plain(text: str) -> str:
    """A text that can stand in a file name: ``12-TB-VP``."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def paper(form: Issuing, agency: Agency, signer: Account, to: list[Agency]) -> tuple[bytes, str]:
    """(the PDF, its file name): the chosen file, or one composed from the text. Raises `Refused`."""
    if form.pdf:
        return form.pdf, form.file_name
    paragraphs = tuple(one for one in (line(part) for part in form.text.split("\n")) if one)
    if not paragraphs:
        raise Refused(
            "nothing-to-issue",
            "Chưa có nội dung: chọn tệp PDF, hoặc gõ nội dung để hệ thống soạn thành PDF.",
            "There is no content yet: choose a PDF file, or type the text to have it composed.",
        )
    kind = kinds.kind_named(form.kind)
    draft = Draft(
        agency=agency.name,
        subject=form.subject,
        paragraphs=paragraphs,
        post=signer.title.upper(),
        signer=signer.name,
        kind="" if kind.is_letter else kinds.plain_name(kind),
        to=tuple(one.name for one in to),
        copies=(*(f"{one.name};" for one in to[:12]), say("vi", "document.file-copy")),
    )
    return compose_draft(draft), "van-ban.pdf"


def beside(refusal: Refused) -> str:
    """The field of the form that a refusal belongs to; "" for the whole of it."""
    rule = refusal.rule or ""
    if refusal.code.startswith("draft-"):
        return "pdf"
    if refusal.code in _BY_CODE:
        return _BY_CODE[refusal.code]
    return _BY_RULE.get(rule) or ("pdf" if rule.startswith("R-CON") else "")


def notes(refusal: Refused, language: str) -> list[Note]:
    """What was said, rule by rule, each with its basis and the basis's status as the rulebook words it."""
    text = refusal.text(language)
    found = [Note(one[1], one[2], one[3]) for one in _SAID.finditer(text)]
    return found or [Note(refusal.rule or "", text, "")]
