# SPDX-License-Identifier: AGPL-3.0-or-later
"""A PDF of ours judged as the receiver will judge it, and the facts of issuing put together."""

from __future__ import annotations

from datetime import date

from exchange.documents import files, records
from exchange.documents.facts import Issuing, signature_facts
from exchange.documents.model import Document
from exchange.exchange import Exchange
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.verdict import Verdict
from mailserver.accounts import Account
from policy.facts import SignatureFacts


def verdict_of(exchange: Exchange, pdf: bytes) -> Verdict:
    """The verdict on a PDF with our anchors; revocation is always required of a server."""
    return judge_pdf(pdf, exchange.trust.anchors(), require_revocation=True)


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
