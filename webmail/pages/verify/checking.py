# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the public look-up says of a code and of a file. Reads only; a file is compared and forgotten."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import sqlalchemy as sa

from config.refusal import Refused, Unavailable
from exchange.documents import files, records, schema
from exchange.documents.model import Document
from exchange.trust.anchors import Anchors
from exchange.trust.directory import TrustDirectory
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.verdict import FAILED, PASSED, Verdict
from exchange.verifying.file import verify_file
from webmail import frame

MAX_FILE = 25_000_000
"""Bytes of a file to compare, at most."""
_CODE = re.compile(r"[A-Za-z0-9_-]{16,40}\Z")
_AT_ONCE = threading.BoundedSemaphore(2)
_WAIT_S = 5.0

Answer: TypeAlias = Literal["genuine", "void", "altered", "other", "unsigned", "unknown"]


class TooLarge(Refused):
    """The file is over the limit of the public look-up."""

    def __init__(self) -> None:
        super().__init__(
            "message-too-large",
            f"Tệp lớn hơn {MAX_FILE // 1_000_000} MB. Chọn đúng tệp PDF của văn bản.",
            f"The file is larger than {MAX_FILE // 1_000_000} MB. Choose the document's PDF.",
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A document that was given a number, with the digest (hex SHA-256) of its issued PDF."""

    document: Document
    sha256: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """What a visitor's file is: the answer, its digest, and the verdict on its signatures when it was judged."""

    answer: Answer
    name: str
    sha256: str
    verdict: Verdict | None


def clean(code: str) -> str:
    """A code as it is looked up: without blanks around and within."""
    return "".join(code.split())[:60]


def known(code: str) -> Known | None:
    """The issued (or voided) document with this code; None for any other."""
    if not _CODE.match(code):
        return None
    parts = frame.parts()
    table = schema.document
    with parts.database.reading() as conn:
        row = conn.execute(
            sa.select(table).where(table.c.public_digest == records.public_digest(parts.seal, code))
        ).first()
        if row is None or row.state not in ("sent", "void"):
            return None
        found = records.read(parts.seal, row)
        issued = [one for one in files.listing(conn, parts.seal, found.ref) if one.role == "issued"]
    return Known(found, issued[-1].sha256 if issued else "", found.state == "sent")


def compare(data: bytes, name: str, of: Known | None) -> Compared:
    """A file against the document of a code, or (without a code) by its own signatures. Raises `Unavailable`."""
    digest = hashlib.sha256(data).hexdigest()
    if of is not None and digest == of.sha256:
        return Compared("genuine" if of.in_force else "void", name, digest, None)
    verdict = _judged(data)
    if verdict.verdict == PASSED and verdict.official:
        return Compared("other" if of is not None else "genuine", name, digest, verdict)
    if verdict.verdict == FAILED or of is not None:
        return Compared("altered", name, digest, verdict)
    if verdict.verdict == "UNSIGNED":
        return Compared("unsigned", name, digest, verdict)
    return Compared("unknown", name, digest, verdict)


def judged(data: bytes, name: str) -> Verdict:
    """The verdict of `congvan verify` on a file of any kind, with the installation's anchors. Raises `Unavailable`."""
    return _in_turn(lambda anchors: verify_file(data, name, anchors=anchors, require_revocation=True))


def _judged(data: bytes) -> Verdict:
    return _in_turn(lambda anchors: judge_pdf(data, anchors, require_revocation=True))


def _in_turn(judge: Callable[[Anchors], Verdict]) -> Verdict:
    if not _AT_ONCE.acquire(timeout=_WAIT_S):
        raise Unavailable(
            "busy",
            "Nhiều người đang kiểm tra tệp cùng lúc. Thử lại sau ít phút.",
            "Many files are being checked at once. Try again in a few minutes.",
        )
    try:
        return judge(TrustDirectory(frame.parts().settings.trust_dir).anchors())
    finally:
        _AT_ONCE.release()
