# SPDX-License-Identifier: AGPL-3.0-or-later
"""Attachments in files of their own (phụ lục): prepared with the draft, sealed when the document is.

The issuing agency signs each with a line at the top right of its first page: number and time, no picture
(ND30/2020 App. I, II.8.b, III.1.d). What is approved is the prepared file; the seal follows it, so it can be
told from the sealed file what was approved. The seals are for rows of their own below the document's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from config.clock import now_us, to_local
from config.refusal import Refused
from exchange.documents import files
from exchange.documents.kinds import nfc
from exchange.documents.model import Document, DocumentRef, StoredFile
from exchange.documents.work import Work
from exchange.exchange import Exchange
from exchange.signing.pdf.attachment import attachment_line, seal_prepared
from exchange.signing.pdf.draft import open_draft
from exchange.signing.pdf.prepare import prepare_attachment
from exchange.signing.pdf.sign import SignedFile
from exchange.signing.protocol import SealApproval
from mailserver.accounts import Agency

MOST = 20
TEMPLATE = "congvan-annex-1"
"""What the seal puts on an attachment; the approval names it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed attachment, written but named by no row yet."""

    written: files.Written
    signed: SignedFile


def look(name: str, pdf: bytes) -> None:
    """Raises `Refused` when the file can't be signed as an attachment; the words name it."""
    try:
        open_draft(pdf)
    except Refused as problem:
        raise Refused(
            problem.code, f"Phụ lục “{name[:80]}”: {problem.vi}", f"Attachment “{name[:80]}”: {problem.en}"
        ) from problem


def write(
    exchange: Exchange, agency: Agency, key: bytes, annexes: Sequence[tuple[str, bytes]], main: str
) -> list[files.Written]:
    """Prepare and write the attachments of a new draft. Raises `Refused`."""
    if len(annexes) > MOST:
        raise Refused(
            "too-many-annexes",
            f"Mỗi văn bản có tối đa {MOST} tệp phụ lục.",
            f"A document has at most {MOST} attachments.",
        )
    taken = {main.casefold()}
    written = []
    for number, (name, pdf) in enumerate(annexes, 1):
        called = nfc(name).replace("\\", "/").rsplit("/", 1)[-1][-150:] or f"phu-luc-{number}.pdf"
        if called.casefold() in taken:
            called = f"{number}-{called}"[-150:]
        taken.add(called.casefold())
        data = prepare_attachment(pdf)
        written.append(exchange.files.write(agency.number, key, called, files.PDF, data))
    return written


def listing(exchange: Exchange, ref: DocumentRef, role: str = "annex") -> list[StoredFile]:
    """The attachments in their order: as approved, or sealed (``annex-sealed``)."""
    with exchange.database.reading() as conn:
        return [one for one in files.listing(conn, exchange.seal, ref) if one.role == role]


def row_name(row: str, number: int) -> str:
    """The name under which the signer seals the attachment ``number`` (from 1) of a register row."""
    return f"{row}/phu-luc-{number}"


def seal(
    exchange: Exchange, work: Work, document: Document, annex: StoredFile, approval: SealApproval
) -> Sealed:
    """The attachment with the line and signature of the issuing agency. Raises `Refused`, `Unavailable`."""
    signed = seal_prepared(
        exchange.files.read(work.key, annex),
        attachment_line(document.fields.number, to_local(now_us())),
        exchange.signer,
        exchange.trust,
        document.fields.organ_code,
        approval,
        exchange.stamp,
    )
    written = exchange.files.write(work.ref.agency, work.key, annex.name, files.PDF, signed.data)
    return Sealed(written, signed)
