# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document of our own, and the published sample packets when they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

from exchange.edxml.attachments import pack
from exchange.edxml.model import Business, DocumentPacket, Organ, Staff, Trace

FOLDER = Path(os.environ.get("CONGVAN_SHARED", Path(__file__).parents[4] / "shared")) / "edxml"
FILES = sorted(FOLDER.glob("*.edxml"))


def sample(name: str) -> bytes:
    """The bytes of a sample packet."""
    return (FOLDER / name).read_bytes()


def document(pdf: bytes = b"%PDF-1.7\n%%EOF\n", sender: str = "H12.01") -> DocumentPacket:
    """A document packet that has nothing wrong with it."""
    reference, attachment = pack("12-TB-VP.pdf", pdf)
    return DocumentPacket(
        sender=Organ(
            sender, "Văn phòng", "Ủy ban nhân dân tỉnh", "Số 1", "vt@a.example", "0290 1", "", "a.example"
        ),
        to=(Organ("H12.11", "Sở Khoa học và Công nghệ"), Organ("000.00.12.H12", "Sở Tài chính")),
        code_number="12",
        code_notation="TB-VP",
        place="Cà Mau",
        promulgation_date="2026/01/05",
        type_code="2",
        type_name="Thông báo",
        subject="Về việc <thử> & kiểm tra",
        competence="TL. CHỦ TỊCH",
        position="Chánh Văn phòng",
        full_name="Người ký thử",
        to_places=("Như trên", "Lưu: VT"),
        priority="0",
        copies="1",
        pages="2",
        direction="false",
        appendixes=("Phụ lục I",),
        steering_type="0",
        document_id=f"{sender},2026/01/05,12/TB-VP",
        traces=(Trace(sender, "2026/01/05 08:30:00"),),
        business=Business(staff=Staff("Văn thư", "Người gửi thử", "vt@a.example", "0"), paper="0"),
        references=(reference,),
        attachments=(attachment,),
    )
