# SPDX-License-Identifier: AGPL-3.0-or-later
"""One signature of a PDF: what it covers, what came after, and what its CMS says.

Coverage is judged here to the last byte: pyHanko (and other viewers) let bytes behind the last revision
pass. What an incremental update changed is pyHanko's difference analysis (ISO 32000-2 §12.8.2).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.diff_analysis import DiffResult
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from exchange.trust.anchors import Anchors
from exchange.trust.cms_signature import Stamp, chain_at, check_bytes, iso, judge_stamp, judge_token
from exchange.trust.pdf_changes import POLICY
from exchange.trust.second_validator import compared, own_says, pyhanko_says
from exchange.trust.subject import Subject, subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, Authority, Outcome, SignatureVerdict

log = logging.getLogger("congvan.trust")
_HEX = re.compile(rb"<(?:[0-9a-f]+|[0-9A-F]+)>")
_OUR_FIELDS = {"so", "ngay"}
_PROOF_OF_CREATION = bytes.fromhex("300d060b2a864886f70d0109100606")


@dataclass(frozen=True, slots=True)
class Found:
    """A judged signature with its place: ``end`` is the offset behind what it covers."""

    verdict: SignatureVerdict
    subject: Subject | None
    end: int
    stamp: Stamp | None = None
    field: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The bytes a signature covers, and whether what came after is allowed."""

    end: int
    whole: bool
    sound: bool
    changed_after: bool


def judge_signature(
    embedded: EmbeddedPdfSignature, data: bytes, anchors: Anchors, require: bool, now: datetime
) -> Found:
    """The verdict on one signature by itself, without regard to the others."""
    try:
        coverage = _coverage(embedded, data)
        digest = embedded.compute_digest()
        if embedded.sig_object_type == "/DocTimeStamp":
            return _document_stamp(embedded, coverage, anchors, require)
        pades = embedded.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
        checked = check_bytes(embedded.signed_data, digest, "data", bound=pades)
        stamp = judge_stamp(
            embedded.signer_info, anchors, require, covers=coverage.whole, others=checked.others
        )
        claimed = embedded.self_reported_timestamp
        initials = _are_initials(embedded)
    except Exception:
        log.info("a signature could not be read", exc_info=True)
        return unreadable(data)
    if claimed is not None and claimed.tzinfo is None:
        claimed = None
    proven = stamp.moment if stamp is not None else None
    outcome: Outcome = checked.outcome
    named, revocation, subject = checked.sub_indication, None, None
    authority: Authority = "installation"
    if checked.certificate is not None:
        subject = subject_of(checked.certificate)
        status, sub, chain = chain_at(checked, anchors, proven, claimed, now, require)
        revocation, authority = chain.revocation, chain.authority
        if not named:
            outcome, named = status, sub
    if outcome != FAILED:
        if not coverage.sound:
            outcome, named = FAILED, "FORMAT_FAILURE"
        elif stamp is not None and not stamp.intact:
            outcome, named = FAILED, stamp.verdict.sub_indication
        elif coverage.changed_after:
            outcome, named = FAILED, "ILLEGAL_CHANGES"
        elif outcome == PASSED and stamp is not None and stamp.moment is None:
            outcome, named = INDETERMINATE, "TIMESTAMP_INVALID"
    moment = proven or claimed
    verdict = SignatureVerdict(
        signer=subject.name if subject else "",
        organisation=subject.organisation if subject else "",
        role="organisation" if subject and subject.role == "organisation" else "person",
        time=iso(moment) if moment is not None else "",
        verdict=outcome,
        sub_indication=named,
        revocation=revocation or "not-checked",
        covers_whole_file=coverage.whole,
        changed_after=coverage.changed_after,
        certificate=checked.certificate.public_bytes(Encoding.DER) if checked.certificate else b"",
        stamped=proven is not None,
        initials=initials,
        authority=authority,
    )
    opinions = _opinions(embedded, data, digest, anchors, proven or claimed or now)
    return Found(compared(verdict, opinions), subject, coverage.end, stamp, str(embedded.field_name))


def _opinions(
    embedded: EmbeddedPdfSignature, data: bytes, digest: bytes, anchors: Anchors, at: datetime
) -> list[tuple[str, Outcome]]:
    """What the other validators say: ours of the bytes, pyHanko of the chain too."""
    numbers = [int(one) for one in embedded.byte_range]
    view = memoryview(data)
    pieces = [view[at : at + size] for at, size in zip(numbers[::2], numbers[1::2], strict=True)]
    own = own_says(bytes(embedded.pkcs7_content), pieces)
    return [own, pyhanko_says(embedded.signed_data, digest, anchors, at)]


def _are_initials(embedded: EmbeddedPdfSignature) -> bool:
    """Whether the signer signed as one who drafted (commitment proof-of-creation, RFC 5126 §5.11.1)."""
    for one in embedded.signer_info["signed_attrs"]:
        if one["type"].dotted == "1.2.840.113549.1.9.16.2.16":
            return any(value.dump() == _PROOF_OF_CREATION for value in one["values"])
    return False


def unreadable(data: bytes) -> Found:
    """The verdict on a signature that can't be read."""
    verdict = SignatureVerdict(
        signer="",
        organisation="",
        role="person",
        time="",
        verdict=FAILED,
        sub_indication="FORMAT_FAILURE",
        covers_whole_file=False,
        changed_after=False,
    )
    return Found(verdict, None, len(data))


def _document_stamp(
    embedded: EmbeddedPdfSignature, coverage: Coverage, anchors: Anchors, require: bool
) -> Found:
    algorithm = embedded.external_md_algorithm
    digests = {algorithm: embedded.compute_digest()}
    stamp = judge_token(embedded.signed_data, None, anchors, require, coverage.whole, digests=digests)
    return Found(stamp.verdict, None, coverage.end, stamp)


def _coverage(embedded: EmbeddedPdfSignature, data: bytes) -> Coverage:
    numbers = [int(one) for one in embedded.byte_range]
    if len(numbers) != 4 or min(numbers) < 0 or numbers[0] != 0:
        return Coverage(0, False, False, False)
    _, first, start, rest = numbers
    end = start + rest
    if not first < start <= end <= len(data):
        return Coverage(0, False, False, False)
    work: Any = embedded
    work.compute_integrity_info(diff_policy=POLICY)
    level: Any = embedded.coverage
    sound = _contents_only(embedded, data[first:start]) and level >= SignatureCoverageLevel.ENTIRE_REVISION
    whole = sound and end == len(data)
    last = embedded.signed_revision == embedded.reader.xrefs.total_revisions - 1
    changed = not whole and (last or not _allowed(embedded) or not _ends_properly(data))
    return Coverage(end, whole, sound, changed)


def _contents_only(embedded: EmbeddedPdfSignature, gap: bytes) -> bool:
    """The gap holds the signature and nothing else: one hexadecimal string, zeros behind the CMS."""
    if not _HEX.fullmatch(gap):
        return False
    content = embedded.pkcs7_content
    if bytes.fromhex(gap[1:-1].decode("ascii")) != content:
        return False
    whole = _element(content, 0, 0x30)
    if whole is None or any(content[whole[1] :]):
        return False
    kind = _element(content, whole[0], 0x06)
    inner = _element(content, kind[1], 0xA0) if kind is not None else None
    return inner is not None and inner[1] == whole[1]


def _element(content: bytes, at: int, tag: int) -> tuple[int, int] | None:
    """Where the content of the DER element at ``at`` begins and ends; None when it isn't there whole."""
    head = content[at : at + 6]
    if len(head) < 6 or head[0] != tag or head[1] in (0x80, 0xFF):
        return None
    octets = head[1] & 0x7F if head[1] & 0x80 else 0
    if octets > 4:
        return None
    size = int.from_bytes(head[2 : 2 + octets], "big") if octets else head[1]
    end = at + 2 + octets + size
    return (at + 2 + octets, end) if end <= len(content) else None


def _allowed(embedded: EmbeddedPdfSignature) -> bool:
    """Whether the updates after the signature only filled number and date, signed, or added a DSS."""
    if not embedded.summarise_integrity_info()["docmdp_ok"]:
        return False
    result = embedded.diff_result
    if not isinstance(result, DiffResult):
        return False
    changed = {str(one) for one in result.changed_form_fields}
    fields = {str(name) for name in _text_fields(embedded.reader)}
    if not fields >= _OUR_FIELDS:
        return True  # a file of another system: what its locks and certification allow
    return not (changed & fields) - _OUR_FIELDS


def _text_fields(reader: Any) -> list[str]:
    form = reader.root["/AcroForm"]
    found = [one.get_object() for one in form["/Fields"]]
    return [one["/T"] for one in found if "/T" in one and "/FT" in one and one["/FT"] != "/Sig"]


def _ends_properly(data: bytes) -> bool:
    """The file ends with its last cross-reference, with nothing behind it."""
    return re.search(rb"startxref\s+\d+\s+%%EOF(\r\n|\r|\n)?\Z", data[-64:]) is not None
