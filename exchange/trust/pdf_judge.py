# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on a PDF: each signature, and the order the law asks for (ND30/2020 Art. 5, 32; DESIGN §5).

Offline; nothing of an exception reaches the answer. Limits: 100 MB, 32 signatures, 64 revisions.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from config.refusal import Refused
from exchange.trust.anchors import Anchors
from exchange.trust.cms_signature import READING
from exchange.trust.ocsp import read_response
from exchange.trust.pdf_signature import Found, judge_signature, unreadable
from exchange.trust.subject import plain
from exchange.trust.verdict import (
    FAILED,
    PASSED,
    UNREADABLE,
    UNSIGNED,
    Encryption,
    SignatureVerdict,
    Verdict,
    advice,
    first_sub_indication,
    worst,
)

log = logging.getLogger("congvan.trust")
MAX_BYTES = 100 * 1024 * 1024
MAX_SIGNATURES = 32
MAX_REVISIONS = 64
_MAX_CARRIED = 64
_OF_THE_SEAL = {"CHANGED_AFTER_SEAL", "ORDER_OF_SIGNATURES", "NO_PERSON_SIGNATURE", "SEAL_OF_OTHER_AGENCY"}
_BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*0\s+(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s*\]")


def judge_pdf(
    data: bytes, anchors: Anchors, require_revocation: bool = False, at: datetime | None = None
) -> Verdict:
    """Judges the signatures of a PDF as of ``at`` (now when None), each as of its own time.

    TOTAL-PASSED and official: a person signed, then the organisation of that person, and the
    organisation's signature covers the file to its last byte. Never raises for what the file holds.
    """
    now = at or datetime.now(UTC)
    verdict, found = _judged(data, anchors, require_revocation, now)
    if found:
        return verdict
    shorter = _signed_part(data) if len(data) <= MAX_BYTES else None
    if shorter is not None:
        _, found = _judged(shorter, anchors, require_revocation, now)
        if found:  # what came after hides the signatures or makes the file unreadable
            return _together([_overtaken(one) for one in found])
    return verdict


def _judged(data: bytes, anchors: Anchors, require: bool, now: datetime) -> tuple[Verdict, list[Found]]:
    """The verdict and the signatures it rests on (none: unsigned or unreadable)."""
    try:
        reader, problem = _open(data)
        if reader is None:
            return _unreadable(problem, "failed" if problem == "encrypted" else "none"), []
        found = _signatures(reader, data, _with_carried(anchors, reader), require, now)
    except Exception:
        log.info("a PDF could not be read", exc_info=True)
        return _unreadable("damaged", "none"), []
    if not any(one.verdict.role != "timestamp" for one in found):
        return Verdict("pdf", UNSIGNED, "the file has no signature", signatures=_listed(found)), []
    return _together(found), found


def _signed_part(data: bytes) -> bytes | None:
    """The file up to the end of the last signature that is not at the file's end; None without one."""
    ends = {int(one[2]) + int(one[3]) for one in _BYTE_RANGE.finditer(data)}
    inside = [end for end in ends if 0 < end < len(data)]
    return data[: max(inside)] if inside else None


def _overtaken(one: Found) -> Found:
    named = one.verdict.sub_indication if one.verdict.verdict == FAILED else "ILLEGAL_CHANGES"
    verdict = replace(
        one.verdict, verdict=FAILED, sub_indication=named, covers_whole_file=False, changed_after=True
    )
    return replace(one, verdict=verdict if verdict.role != "timestamp" else one.verdict)


def _open(data: bytes) -> tuple[PdfFileReader | None, str]:
    if len(data) > MAX_BYTES:
        return None, "larger than 100 MB"
    if b"%PDF-" not in data[:1024]:
        return None, "not a PDF"
    reader = PdfFileReader(io.BytesIO(data), strict=False)
    if reader.encrypted:
        return None, "encrypted"
    if reader.xrefs.total_revisions > MAX_REVISIONS:
        return None, "more than 64 revisions"
    if "/Pages" not in reader.root:
        return None, "damaged"
    return reader, ""


def _signatures(
    reader: PdfFileReader, data: bytes, anchors: Anchors, require: bool, now: datetime
) -> list[Found]:
    found: list[Found] = []
    for name, value, reference in enumerate_sig_fields(reader, filled_status=True):
        if value is None:
            continue
        if len(found) >= MAX_SIGNATURES:
            found.append(unreadable(data))
            break
        try:
            embedded = EmbeddedPdfSignature(reader, reference.get_object(), name)
        except Exception:
            log.info("a signature could not be read", exc_info=True)
            found.append(unreadable(data))
            continue
        found.append(judge_signature(embedded, data, anchors, require, now))
    return sorted(found, key=lambda one: one.end)


def _with_carried(anchors: Anchors, reader: PdfFileReader) -> Anchors:
    """The anchors with what the file's DSS carries: certificates that may help, revocation lists."""
    root: Any = reader.root
    if "/DSS" not in root:
        return anchors
    store = root["/DSS"]
    certificates, crls, ocsps = [], [], []
    with contextlib.suppress(*READING, PdfError):
        certificates = [x509.load_der_x509_certificate(one) for one in _streams(store, "/Certs")]
    with contextlib.suppress(*READING, PdfError):
        crls = [x509.load_der_x509_crl(one) for one in _streams(store, "/CRLs")]
    with contextlib.suppress(*READING, PdfError, Refused):
        ocsps = [read_response(one) for one in _streams(store, "/OCSPs")]
    return anchors.adding(certificates, crls, ocsps)


def _streams(store: Any, key: str) -> list[bytes]:
    if key not in store:
        return []
    return [one.get_object().data for one, _ in zip(store[key], range(_MAX_CARRIED), strict=False)]


def _together(found: list[Found]) -> Verdict:
    """The order of signatures, then the worst of all."""
    found = _ordered(found)
    signed = [one.verdict for one in found if one.verdict.role != "timestamp"]
    outcome = worst(one.verdict for one in signed)
    sealed = bool(signed) and signed[-1].role == "organisation"
    attached = sealed and all(_is_attachment(one) for one in found if one.verdict.role != "timestamp")
    sealing = [one.sub_indication for one in signed if one.sub_indication in _OF_THE_SEAL]
    named = sealing[0] if sealing else first_sub_indication(signed)
    public = any(one.authority == "public" for one in signed)
    official = outcome == PASSED and sealed and not attached and not public
    if outcome == PASSED:
        reason = _said(signed, sealed, attached)
    else:
        reason = f"{named}: {advice(named, 'en')}"
    if outcome == PASSED and public:
        reason += "; by a public authority, so not official"
    modes = {one.subject.approval for one in found if one.subject is not None and one.subject.approval}
    if "file" in modes:
        reason += " (demo keys, approved by file)"
    elif modes:
        reason += f" (approved by {', '.join(sorted(modes))})"
    return Verdict("pdf", outcome, reason, official=official, signatures=_listed(found), sub_indication=named)


def _said(signed: list[SignatureVerdict], sealed: bool, attached: bool) -> str:
    """What sound signatures amount to."""
    if attached:
        return "an attachment or copy, sealed by the organisation"
    people = [one for one in signed if one.role == "person" and not one.initials]
    if not people:
        return "initialled only, not signed yet"
    if not sealed:
        return "signed by a person only"
    seals = sum(one.role == "organisation" for one in signed)
    if len(people) == 1 and seals == 1:
        return "signed by a person and sealed by the organisation"
    return f"signed by {len(people)} person(s) and sealed by {seals} organisation(s)"


def _is_attachment(one: Found) -> bool:
    """The organisation's mark on an attachment or copy in a file of its own (ND30/2020 App. I, II.8.b)."""
    return one.field == "phu_luc" and one.verdict.role == "organisation"


def _only_seals_follow(one: Found, after: list[Found]) -> bool:
    """A joint document: what came after were the seals that this one's lock left open, the last over all."""
    signed = [other for other in after if other.verdict.role != "timestamp"]
    return (
        bool(signed)
        and not one.verdict.changed_after
        and all(other.verdict.role == "organisation" for other in signed)
        and signed[-1].verdict.covers_whole_file
    )


def _ordered(found: list[Found]) -> list[Found]:
    """Each organisation's signature held against the law's order, when it is otherwise sound."""
    answer = []
    for place, one in enumerate(found):
        verdict = one.verdict
        if verdict.role == "organisation":
            after = found[place + 1 :]
            named = _order(one, found[:place], after)
            changed = not verdict.covers_whole_file and not _only_seals_follow(one, after)
            if not named and changed:
                named = "CHANGED_AFTER_SEAL"
            if named and (verdict.verdict != FAILED or verdict.sub_indication == "ILLEGAL_CHANGES"):
                verdict = replace(verdict, verdict=FAILED, sub_indication=named)
            one = replace(one, verdict=replace(verdict, changed_after=changed))
        answer.append(one)
    return answer


def _order(seal: Found, before: list[Found], after: list[Found]) -> str:
    """ "" or the sub-indication that names what is wrong with the order."""
    if any(one.verdict.role == "person" and one.verdict.signer for one in after):
        return "ORDER_OF_SIGNATURES"
    people = [one for one in before if one.verdict.role == "person" and not one.verdict.initials]
    if not people and not before and _is_attachment(seal):
        return ""
    if not people:
        return "NO_PERSON_SIGNATURE"
    own = plain(seal.verdict.organisation)
    if not any(plain(one.verdict.organisation) == own for one in people):
        return "SEAL_OF_OTHER_AGENCY"
    return ""


def _listed(found: list[Found]) -> tuple[SignatureVerdict, ...]:
    """The signatures in their order, then the time-stamps."""
    signed = [one.verdict for one in found if one.verdict.role != "timestamp"]
    stamps = [one.verdict for one in found if one.verdict.role == "timestamp"]
    inside = [one.stamp.verdict for one in found if one.stamp is not None and one.verdict.role != "timestamp"]
    return (*signed, *inside, *stamps)


def _unreadable(problem: str, encryption: Encryption) -> Verdict:
    return Verdict("pdf", UNREADABLE, f"the file can't be read: {problem}", encryption=encryption)
