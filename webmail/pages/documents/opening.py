# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person opens a document: the signer unwraps its key for purpose ``open``, and that is recorded (DESIGN 4.14)."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.clock import now_us
from exchange.documents import files, records
from exchange.documents.model import Document, StoredFile
from exchange.documents.opening import open_for, readable
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.verdict import Verdict
from mailserver.accounts import Account
from webmail import frame
from webmail.errors import NotThere

_AGAIN_US = 10 * 60 * 1_000_000
"""Looking again within ten minutes is the same opening; the signer's own log has every unwrap."""


@dataclass(frozen=True, slots=True)
class Paper:
    """One PDF of a document with the verdict on its signatures (None before it is signed)."""

    stored: StoredFile
    data: bytes = field(repr=False)


def shown(document: Document) -> list[StoredFile]:
    """The files a reader gets: the issued PDF (before that the newest draft), or what came in."""
    parts = frame.parts()
    with parts.database.reading() as conn:
        found = files.listing(conn, parts.seal, document.ref)
    return readable(document, found)


def main(stored: list[StoredFile]) -> StoredFile | None:
    """The one that is the document itself: the first PDF."""
    return next((one for one in stored if one.media_type == files.PDF), None)


def open_file(document: Document, number: int) -> Paper:
    """One file for reading or saving; recorded. Raises `NotThere`, `Refused`, `Unavailable`."""
    chosen = next((one for one in shown(document) if one.file == number), None)
    if chosen is None:
        raise NotThere
    return _read(document, chosen)


def open_main(document: Document) -> Paper | None:
    """The document's PDF, None when it has none (held for a mark of secrecy, damaged)."""
    chosen = main(shown(document))
    return _read(document, chosen) if chosen is not None else None


def verdict(paper: Paper) -> Verdict:
    """The verdict on a PDF as of now, with our anchors; revocation is always required here."""
    return judge_pdf(paper.data, frame.parts().exchange.trust.anchors(), require_revocation=True)


def _read(document: Document, stored: StoredFile) -> Paper:
    """Recorded before the content is given; again within ten minutes is the same look."""
    exchange, who = frame.parts().exchange, frame.account()
    if _opened_just_now(document, who) and document.wrapped_key:
        key = exchange.document_key(document.fields.key_code, document.wrapped_key, "open", who.address).key
        return Paper(stored, exchange.files.read(key, stored))
    for one in open_for(exchange, document.ref, who):
        if one.stored.file == stored.file:
            return Paper(stored, one.data)
    raise NotThere


def _opened_just_now(document: Document, who: Account) -> bool:
    parts = frame.parts()
    since = now_us() - _AGAIN_US
    with parts.database.reading() as conn:
        return any(
            one.kind == "document.opened" and one.at_us > since and one.told.get("by") == who.address
            for one in records.events(conn, parts.seal, document.ref)
        )
