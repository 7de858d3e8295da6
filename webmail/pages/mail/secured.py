# SPDX-License-Identifier: AGPL-3.0-or-later
"""A signed or encrypted letter: judged, opened with the agency's key when it may be, and what of it is shown.

A letter to the registry mailbox is opened by the signer for the clerk who reads it, which its log records. The
verdict is that of ``congvan verify``; where it fails, nothing that was encrypted is shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from flask import g

from config.refusal import Refused
from exchange.documents.opening import may_open
from exchange.documents.openpgp import OpenPgpUnwrapping
from exchange.documents.work import load
from exchange.receiving import reports
from exchange.sealing.judging import Judging
from exchange.sealing.openpgp_pool import pooled
from exchange.sealing.packet import packet_digest
from exchange.sealing.packet_form import is_packet
from exchange.sealing.recipients import Opener, signer_opener
from exchange.trust.verdict import FAILED, INDETERMINATE, Verdict, advice, meaning_of
from exchange.verifying.mail import ReadMail, read_mail
from mailserver.message import Summary, scan
from webmail import frame
from webmail.language import current, t
from webmail.pages.mail import queries
from webmail.pages.mail.queries import Letter

_SMIME = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_MARKS = {
    "TOTAL-PASSED": ("ok", "sign"),
    "INDETERMINATE": ("wait", "alert"),
    "UNSIGNED": ("wait", "info"),
}


@dataclass(frozen=True, slots=True)
class Secured:
    """What is shown of a letter: bytes and their summary; ``html``: whether HTML in them may be rendered."""

    data: bytes
    summary: Summary
    html: bool = True
    verdict: Verdict | None = None
    document: str = ""
    "The document that this letter, a packet, brought; its verdict is that of the kept report."


@dataclass(frozen=True, slots=True)
class Told:
    """The verdict in words; ``kind`` and ``icon`` are those of the component."""

    kind: str
    icon: str
    title: str
    lines: tuple[str, ...]
    document: str = ""


def secured(letter: Letter) -> Secured:
    """The letter as it is shown, once a request."""
    kept: dict[int, Secured] = g.setdefault("secured", {})
    if letter.row.uid not in kept:
        kept[letter.row.uid] = _secured(letter)
    return kept[letter.row.uid]


def told(secured: Secured) -> Told | None:
    """The verdict for the page of a letter; None for one that is neither signed nor encrypted."""
    verdict = secured.verdict
    if verdict is None:
        return None
    kind, icon = _MARKS.get(verdict.verdict, ("bad", "alert"))
    signer = verdict.signatures[0].signer if verdict.signatures else ""
    if secured.document:
        title = t("mail.packet-judged", meaning=meaning_of(verdict.verdict, current()))
        lines = [verdict.words(current())[1] or verdict.reason, t("mail.packet-kept")]
        return Told(kind, icon, title, tuple(line for line in lines if line), secured.document)
    if verdict.encryption == "failed":
        title = t("mail.cannot-open")
    elif verdict.verdict == "UNSIGNED":
        title = t("mail.encrypted-unsigned")
    else:
        title = t("mail.signature", meaning=meaning_of(verdict.verdict, current()), who=signer or "?")
    lines = [advice(verdict.sub_indication, current())]
    if verdict.encryption == "decrypted":
        lines.append(t("mail.was-encrypted"))
    language = "vi" if current() == "vi" else "text"
    lines += [one.get(language, one["text"]) for one in verdict.problems or ()]
    return Told(kind, icon, title, tuple(line for line in lines if line))


def _secured(letter: Letter) -> Secured:
    data = queries.content(letter)
    summary = letter.summary
    if summary.parts[0].type not in _SMIME:
        return Secured(data, summary)
    if (packet := _packet(letter, data)) is not None:
        verdict, document = packet
        return Secured(data, summary, False, verdict, document)
    read = _read(letter, data)
    if read.payload is None:
        return Secured(data, summary, read.html, read.verdict)
    return Secured(read.payload, scan(read.payload), read.html, read.verdict)


def _packet(letter: Letter, data: bytes) -> tuple[Verdict, str] | None:
    """(the verdict kept on receipt, the document's id) of a packet that brought a document here."""
    if not letter.place.shared or letter.place.lent_by or not is_packet(data.partition(b"\r\n\r\n")[0]):
        return None
    exchange, account = frame.parts().exchange, frame.account()
    agency = exchange.accounts.agency(account.agency_code)
    try:
        digest = bytes.fromhex(packet_digest(data))
    except Refused:
        digest = hashlib.sha256(data).digest()
    ref = reports.of_packet(exchange, agency, digest) if agency is not None else None
    if agency is None or ref is None:
        return None
    document = load(exchange, ref)
    if not may_open(account, document, agency):
        return None
    kept = reports.opened_for(exchange, document, account)
    if kept:
        return kept[0][0].verdict, document.id
    fields = document.fields  # what could not be opened or authenticated has no report
    reason = fields.reason if current() == "vi" else fields.reason_en or fields.reason
    return Verdict("packet", INDETERMINATE if document.state == "held" else FAILED, reason), document.id


def _read(letter: Letter, data: bytes) -> ReadMail:
    trust = frame.parts().exchange.trust
    judging = Judging(trust.anchors(), require_revocation=True)
    openers = _openers(letter)
    if letter.summary.parts[0].type.startswith("multipart/") and (keys := trust.openpgp_ring()):
        try:
            return read_mail(data, judging, openers, pooled(keys), _openpgp(letter))
        except Refused:
            pass  # without gpg an OpenPGP signature can't be decided, which read_mail says
    return read_mail(data, judging, openers)


def _openers(letter: Letter) -> list[Opener]:
    """The agency's key for its registry mailbox; people's keys are not with the server."""
    if not letter.place.shared or letter.place.lent_by:
        return []
    exchange, account = frame.parts().exchange, frame.account()
    certificate = exchange.trust.encryption_certificate_of_agency(account.agency_code)
    if certificate is None:
        return []
    return [signer_opener(exchange.signer, account.agency_code, certificate, "open", account.address)]


def _openpgp(letter: Letter) -> Callable[[bytes], bytes] | None:
    """What opens OpenPGP letters to the agency for the clerk who reads its registry."""
    if not letter.place.shared or letter.place.lent_by:
        return None
    exchange, account = frame.parts().exchange, frame.account()
    agency = exchange.accounts.agency(account.agency_code)
    if agency is None or not exchange.trust.openpgp_of_agency(agency.code):
        return None
    return OpenPgpUnwrapping(exchange, agency, "open", account.address).session_key
