# SPDX-License-Identifier: AGPL-3.0-or-later
"""The organisation's signature on an attachment or on a copy in a file of its own: a line, no picture.

ND30/2020 Appendix I, II.8.b and III.1.d (attachment: number, notation and time of signing), Part II I.3
(copy: form of copy, name of the body and time); Times New Roman, upright, size 10, black, top right of the
first page. The decree asks for ``ngày/tháng/năm; giờ: phút: giây`` and for ISO 8601: the line has the first,
with the zone of Vietnam.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from config.refusal import Refused
from exchange.signing.pdf.layout import ATTACHMENT
from exchange.signing.pdf.marks import line_of_text
from exchange.signing.pdf.prepare import prepare_attachment
from exchange.signing.pdf.sign import SignedFile, Stamp, seal_as_agency
from exchange.signing.protocol import SealApproval
from exchange.signing.signer_client import SignerClient
from exchange.trust.directory import TrustDirectory

CopyForm = Literal["SAO Y", "SAO LỤC", "TRÍCH SAO"]
_LONGEST = 160


def attachment_line(number: str, moment: datetime) -> str:
    """``Số: 12/TB-VP; 05/01/2026; 10:30:00 +07:00``; ``moment`` is local time with its zone."""
    return f"Số: {number}; {_time(moment)}"


def copy_line(form: CopyForm, body: str, moment: datetime) -> str:
    """``SAO Y; Văn phòng UBND tỉnh; 05/01/2026; 10:30:00 +07:00``."""
    return f"{form}; {body}; {_time(moment)}"


def seal_attachment(
    pdf: bytes,
    line: str,
    client: SignerClient,
    directory: TrustDirectory,
    code: str,
    approval: SealApproval,
    stamp: Stamp | None = None,
) -> SignedFile:
    """``pdf`` with the line and the signature of the agency. Raises `Refused`, `Unavailable`."""
    return seal_prepared(prepare_attachment(pdf), line, client, directory, code, approval, stamp)


def seal_prepared(
    prepared: bytes,
    line: str,
    client: SignerClient,
    directory: TrustDirectory,
    code: str,
    approval: SealApproval,
    stamp: Stamp | None = None,
) -> SignedFile:
    """The same for a file that `prepare_attachment` made before."""
    if not 0 < len(line) <= _LONGEST or any(ord(one) < 32 for one in line):
        raise Refused(
            "bad-field-text",
            "Dòng thông tin trên phụ lục hoặc bản sao không hợp lệ.",
            "The line on the attachment or copy is not a short line of text.",
        )
    return seal_as_agency(prepared, client, directory, code, approval, line_of_text(line), ATTACHMENT, stamp)


def _time(moment: datetime) -> str:
    zone = f"{moment:%z}"
    return f"{moment:%d/%m/%Y; %H:%M:%S} {zone[:3]}:{zone[3:]}"
