# SPDX-License-Identifier: AGPL-3.0-or-later
"""Archive renewal (PAdES B-LTA, EN 319 142-1 §5.5): fresh validation data and a document time-stamp.

Made on a COPY: the sent file is the beginning of it, byte for byte, and its digest names it. A copy is
renewed again before the newest time-stamp's certificate ends. What `congvan verify` says of the copy by
itself stays CHANGED_AFTER_SEAL, since it is not what was sent; `judge_copy` judges it as an archive copy.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers import PdfTimeStamper

from config.refusal import Refused
from exchange.signing.pdf.objects import entry
from exchange.signing.pdf.sign import Stamp, Stamper
from exchange.signing.pdf.validation_data import add_validation_data
from exchange.trust.anchors import Anchors
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.verdict import FAILED, PASSED, Verdict

_FIELD = "luu_tru"
_MOST_RENEWALS = 40


@dataclass(frozen=True, slots=True)
class Renewed:
    """An archive copy; ``original`` is the SHA-256 (hex) of the sent file in front of it, of ``size`` bytes."""

    data: bytes
    original: str
    size: int


def renew(
    data: bytes,
    size: int,
    certificates: Iterable[x509.Certificate],
    crls: Iterable[x509.CertificateRevocationList],
    stamp: Stamp,
) -> Renewed:
    """A copy of ``data`` (the sent file, or an earlier archive copy of it) with data and time-stamp added.

    ``size``: the length of the sent file. Raises `Refused` (damaged, renewed too often), `Unavailable`.
    """
    try:
        stamps = [
            one
            for one in PdfFileReader(io.BytesIO(data), strict=False).embedded_timestamp_signatures
            if str(one.field_name).startswith(_FIELD)
        ]
        if len(stamps) >= _MOST_RENEWALS:
            raise Refused(
                "renewed-too-often",
                "Bản lưu trữ đã gia hạn quá nhiều lần.",
                "The archive copy was renewed too often.",
            )
        fresh = add_validation_data(data, certificates, crls)
        writer = IncrementalPdfFileWriter(io.BytesIO(fresh), strict=False)
        out = asyncio.run(
            PdfTimeStamper(Stamper(stamp), field_name=f"{_FIELD}_{len(stamps) + 1}").async_timestamp_pdf(
                writer,
                "sha256",
                embed_roots=False,
            )
        )
    except (PdfError, ValueError, TypeError, KeyError, AttributeError) as problem:
        raise Refused(
            "not-archivable",
            "Tệp không lập được bản lưu trữ: không phải văn bản đã ký số.",
            "No archive copy can be made: the file is not a signed document.",
        ) from problem
    made = out.getvalue()
    return Renewed(made, hashlib.sha256(data[:size]).hexdigest(), size)


def judge_copy(copy: Renewed, anchors: Anchors, at: datetime | None = None) -> Verdict:
    """The verdict on an archive copy: that on the sent file in it, proved to exist by the first time-stamp.

    TOTAL-FAILED when the file in front is another one, or when more than validation data and document
    time-stamps was added to it.
    """
    original = copy.data[: copy.size]
    if hashlib.sha256(original).hexdigest() != copy.original:
        return Verdict(
            "pdf", FAILED, "the archive copy is not of this document", sub_indication="HASH_FAILURE"
        )
    whole = judge_pdf(copy.data, anchors, require_revocation=True, at=at)
    stamps = [one for one in whole.signatures if one.role == "timestamp"]
    late = [one for one in stamps if one.verdict != PASSED]
    changed = [one for one in whole.signatures if one.sub_indication in ("ILLEGAL_CHANGES", "HASH_FAILURE")]
    if changed or not stamps or late or not _covered(copy.data):
        return Verdict(
            "pdf",
            FAILED,
            "the archive copy was changed, or its time-stamp does not hold",
            signatures=whole.signatures,
            sub_indication=(changed or late)[0].sub_indication if changed or late else "CHANGED_AFTER_SEAL",
        )
    verdict = judge_pdf(original, anchors.adding(*_carried(copy.data)), require_revocation=True, at=at)
    return Verdict(
        "pdf",
        verdict.verdict,
        f"archive copy of sha256:{copy.original}: {verdict.reason}",
        official=verdict.official,
        signatures=(*verdict.signatures, *stamps),
        sub_indication=verdict.sub_indication,
    )


def _covered(data: bytes) -> bool:
    """Whether the newest document time-stamp covers the file to its last byte."""
    reader = PdfFileReader(io.BytesIO(data), strict=False)
    stamps = reader.embedded_timestamp_signatures
    if not stamps:
        return False
    numbers = [int(one) for one in stamps[-1].byte_range]
    return numbers[0] == 0 and numbers[2] + numbers[3] == len(data)


def _carried(data: bytes) -> tuple[list[x509.Certificate], list[x509.CertificateRevocationList]]:
    """What the copy's DSS carries, to judge the file in front of it."""
    store = entry(PdfFileReader(io.BytesIO(data), strict=False).root, "/DSS") or {}
    certificates = [one.get_object().data for one in entry(store, "/Certs") or ()]
    lists = [one.get_object().data for one in entry(store, "/CRLs") or ()]
    return (
        [x509.load_der_x509_certificate(one) for one in certificates[:64]],
        [x509.load_der_x509_crl(one) for one in lists[:64]],
    )
