# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is in the demo province: agencies of three levels; people stand there by their office only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PROVINCE = "Tỉnh Cà Mau (dữ liệu thử)"
TLS_NAME = "mail.camau.example"
AUDITOR_AGENCY = "H12.17"
OFFICER_AGENCY = "H12.11"


@dataclass(frozen=True, slots=True)
class Body:
    """An agency of the demo; ``head`` is the title of its leader."""

    code: str
    old_code: str
    name: str
    short: str
    domain: str
    parent: str
    level: int
    head: str
    place: str = "Cà Mau"


BODIES = (
    Body("H12", "000.00.00.H12", "Ủy ban nhân dân tỉnh Cà Mau", "UBND", "camau.example", "", 1, "Chủ tịch"),
    Body("H12.01", "000.00.01.H12", "Văn phòng Ủy ban nhân dân tỉnh Cà Mau", "VP", "vpubnd.camau.example", "H12", 2, "Chánh Văn phòng"),
    Body("H12.02", "000.00.02.H12", "Sở Nội vụ", "SNV", "sonoivu.camau.example", "H12", 2, "Giám đốc"),
    Body("H12.03", "000.00.03.H12", "Sở Tư pháp", "STP", "sotuphap.camau.example", "H12", 2, "Giám đốc"),
    Body("H12.05", "000.00.05.H12", "Sở Tài chính", "STC", "sotaichinh.camau.example", "H12", 2, "Giám đốc"),
    Body("H12.11", "000.00.11.H12", "Sở Thông tin và Truyền thông", "STTTT", "sotttt.camau.example", "H12", 2, "Giám đốc"),
    Body("H12.15", "000.00.15.H12", "Sở Giáo dục và Đào tạo", "SGDĐT", "sogddt.camau.example", "H12", 2, "Giám đốc"),
    Body("H12.16", "000.00.16.H12", "Sở Y tế", "SYT", "soyte.camau.example", "H12", 2, "Giám đốc"),
    Body("H12.17", "000.00.17.H12", "Thanh tra tỉnh Cà Mau", "TTr", "thanhtra.camau.example", "H12", 2, "Chánh Thanh tra"),
    Body("H12.32", "000.00.32.H12", "Ủy ban nhân dân huyện Năm Căn", "UBND", "namcan.camau.example", "H12", 2, "Chủ tịch", "Năm Căn"),
    Body("H12.02.01", "000.01.02.H12", "Chi cục Văn thư - Lưu trữ", "CCVTLT", "ccvtlt.camau.example", "H12.02", 3, "Chi cục trưởng"),
    Body("H12.11.01", "000.01.11.H12", "Trung tâm Công nghệ thông tin và Truyền thông", "TTCNTT", "ttcntt.camau.example", "H12.11", 3, "Giám đốc"),
    Body("H12.15.01", "000.01.15.H12", "Trường THPT Chuyên Phan Ngọc Hiển", "THPTCPNH", "thptcpnh.camau.example", "H12.15", 3, "Hiệu trưởng"),
    Body("H12.16.01", "000.01.16.H12", "Bệnh viện Đa khoa Cà Mau", "BVĐK", "bvdk.camau.example", "H12.16", 3, "Giám đốc"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the demo. ``signs``: has a signing key."""

    address: str
    name: str
    title: str
    role: str
    signs: bool = False


def people_of(body: Body) -> Iterator[Person]:
    """The office-holders of one agency."""
    at = f"@{body.domain}"
    yield Person(f"canbo.vanthu{at}", f"Văn thư {body.short}", "Văn thư", "clerk")
    yield Person(f"lanhdao{at}", f"{body.head} {body.short}", body.head, "leader", signs=True)
    yield Person(f"chuyenvien1{at}", f"Chuyên viên 1 {body.short}", "Chuyên viên", "civil-servant")
    yield Person(f"chuyenvien2{at}", f"Chuyên viên 2 {body.short}", "Chuyên viên", "civil-servant")
    yield Person(f"cntt{at}", f"Cán bộ CNTT {body.short}", "Cán bộ CNTT", "agency-officer")
    if body.code == AUDITOR_AGENCY:
        yield Person(f"kiemtra{at}", f"Thanh tra viên {body.short}", "Thanh tra viên", "auditor")
    if body.code == OFFICER_AGENCY:
        yield Person(f"quantri{at}", "Quản trị hệ thống", "Quản trị hệ thống", "system-officer")
