# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the page of a received document says of its signatures: the report kept on receipt, later ones beside it."""

from __future__ import annotations

from dataclasses import dataclass

from config.clock import from_datetime
from exchange.documents import files
from exchange.documents.model import Document, StoredFile
from exchange.receiving import reports
from exchange.trust.verdict import Verdict, meaning_of
from exchange.verifying.report import Report
from webmail import frame, shown
from webmail.language import current, t
from webmail.pages.documents import opening

_KINDS = {"TOTAL-PASSED": ("ok", "check"), "INDETERMINATE": ("wait", "clock")}


@dataclass(frozen=True, slots=True)
class Told:
    """One report in words; ``number`` names its file, ``layers`` are (name, meaning, sub-indication)."""

    number: int
    kind: str
    icon: str
    title: str
    advice: str
    layers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """``verdict`` on the shown PDF as it was judged on receipt; None when no report of the agency stands."""

    verdict: Verdict | None
    told: tuple[Told, ...]


def of(document: Document, paper: StoredFile) -> Kept:
    """The kept reports of a received document. Raises `Refused`, `Unavailable`."""
    found = reports.opened_for(frame.parts().exchange, document, frame.account())
    told = tuple(_told(number, report) for number, (report, _) in enumerate(found, 1))
    return Kept(_of_paper(document, found[0][0], paper) if found else None, told)


def _of_paper(document: Document, report: Report, paper: StoredFile) -> Verdict | None:
    """The layer of this PDF: reports name the PDFs in the order they are kept."""
    pdfs = [one.file for one in opening.shown(document) if one.media_type == files.PDF]
    layers = [verdict for _, verdict in report.layers if verdict.kind == "pdf"]
    place = pdfs.index(paper.file)
    return layers[place] if place < len(layers) else None


def _told(number: int, report: Report) -> Told:
    verdict = report.verdict
    meaning, advice = verdict.words(current())
    at_us = from_datetime(report.at)
    key = "document.judged-anew" if number > 1 else "document.judged-on-receipt"
    kind, icon = _KINDS.get(verdict.verdict, ("bad", "alert"))
    layers = tuple(
        (name, meaning_of(one.verdict, current()), one.sub_indication) for name, one in report.layers
    )
    title = t(key, meaning=meaning, clock=shown.clock(at_us), day=shown.day(at_us))
    return Told(number, kind, icon, title, advice, layers)
