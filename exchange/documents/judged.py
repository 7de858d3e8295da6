# SPDX-License-Identifier: AGPL-3.0-or-later
"""A PDF of ours judged as the receiver will judge it, and the facts of issuing put together."""

from __future__ import annotations

import io
from datetime import date

from cryptography import x509
from pyhanko.pdf_utils.reader import PdfFileReader

from config.refusal import Refused
from exchange.documents import files, records
from exchange.documents.facts import Issuing, signature_facts
from exchange.documents.model import Document
from exchange.exchange import Exchange
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.revocation import lists_about
from exchange.trust.subject import subject_of
from exchange.trust.verdict import Verdict
from mailserver.accounts import Account
from policy.facts import SignatureFacts


def verdict_of(exchange: Exchange, pdf: bytes) -> Verdict:
    """The verdict on a PDF with our anchors; revocation is always required of a server."""
    return judge_pdf(pdf, exchange.trust.anchors(), require_revocation=True)


def refuse_compromised(exchange: Exchange, pdf: bytes) -> None:
    """Raises `Refused` when a signature in ``pdf`` was made by a key that was compromised since.

    Its time-stamp proves that the signature came first, but what was not sent yet is better signed anew.
    """
    known = exchange.trust.anchors().crls
    for one in PdfFileReader(io.BytesIO(pdf)).embedded_signatures:
        certificate = x509.load_der_x509_certificate(one.signer_cert.dump())
        for crl in lists_about([certificate], known):
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None and _reason(entry) is x509.ReasonFlags.key_compromise:
                raise _compromised(subject_of(certificate).name)


def _compromised(signer: str) -> Refused:
    return Refused(
        "key-compromised",
        f"Khóa ký của {signer} đã bị lộ sau khi ký. Lập dự thảo mới và ký lại.",
        f"The key of {signer} was compromised after signing. Make a new draft and sign again.",
        rule="R-SIG-22",
    )


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None


def signatures_of(exchange: Exchange, pdf: bytes) -> tuple[SignatureFacts, ...]:
    """The signatures in a PDF for the rules."""
    return signature_facts(verdict_of(exchange, pdf).signatures)


def issuing(
    exchange: Exchange,
    document: Document,
    clerk: Account,
    signatures: tuple[SignatureFacts, ...],
    *,
    number: str,
    dated: date,
    row_state: str,
) -> Issuing:
    """The facts of issuing a document, with what its rows say. ``number`` without the notation."""
    agency = exchange.agency_numbered(document.ref.agency)
    with exchange.database.reading() as conn:
        approvals = records.approvals(conn, exchange.seal, document.ref)
        draft = files.newest(conn, exchange.seal, document.ref, "draft")
    return Issuing(
        document,
        agency,
        exchange.person(document.fields.signer, agency, "leader"),
        clerk,
        tuple(exchange.agency(code) for code in document.fields.to_codes),
        tuple(approvals),
        draft.sha256,
        number,
        dated,
        row_state,
        signatures,
    )
