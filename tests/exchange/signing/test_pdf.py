# SPDX-License-Identifier: AGPL-3.0-or-later
"""The walk of a document: compose, prepare, person, number, validation data, organisation."""

from __future__ import annotations

import asyncio
import io
import subprocess
import time
from datetime import date
from pathlib import Path

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation.ades import ades_with_time_validation
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer

from config.refusal import Refused, Unavailable
from exchange.signing.pdf.compose import Draft, compose_draft
from exchange.signing.pdf.fields import date_line, fill, read_fields
from exchange.signing.pdf.layout import ORGANISATION, PERSON, Box, Layout, Paper, seal_box
from exchange.signing.pdf.prepare import prepare
from exchange.signing.pdf.sign import begin, finish
from tests.exchange.signing.house import DRAFT, LEADER, House


def test_pdfsig_finds_two_valid_signatures(issued: bytes, tmp_path: Path) -> None:
    file = tmp_path / "issued.pdf"
    file.write_bytes(issued)
    said = subprocess.run(["pdfsig", str(file)], capture_output=True, text=True, check=False).stdout
    assert said.count("Signature is Valid.") == 2, said
    assert said.count("ETSI.CAdES.detached") == 2
    second = said.split("Signature #2")[1]
    assert "Total document signed" in second
    assert "Not total" not in second
    assert "CN=Văn phòng Ủy ban nhân dân tỉnh Cà Mau" in second


def test_the_text_of_number_and_date_is_on_the_page(issued: bytes, tmp_path: Path) -> None:
    file = tmp_path / "issued.pdf"
    file.write_bytes(issued)
    text = subprocess.run(
        ["pdftotext", "-layout", str(file), "-"], capture_output=True, text=True, check=True
    )
    assert "Số: 12/TB-VP" in text.stdout
    assert "Cà Mau, ngày 05 tháng 01 năm 2026" in text.stdout
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in text.stdout
    assert read_fields(issued) == {"so": "Số: 12/TB-VP", "ngay": "Cà Mau, ngày 05 tháng 01 năm 2026"}


def test_every_font_is_embedded(issued: bytes, tmp_path: Path) -> None:
    file = tmp_path / "issued.pdf"
    file.write_bytes(issued)
    rows = subprocess.run(["pdffonts", str(file)], capture_output=True, text=True, check=True).stdout
    fonts = rows.splitlines()[2:]
    assert fonts
    assert all("Tinos" in row and "yes yes yes" in row for row in fonts)


def test_pyhanko_agrees_offline_and_with_revocation_required(house: House, issued: bytes) -> None:
    roots = [asn1_x509.Certificate.load(one.public_bytes(Encoding.DER)) for one in house.anchors().roots]
    policy = CertRevTrustPolicy(REQUIRE_REVINFO)
    reader = PdfFileReader(io.BytesIO(issued))
    store = DocumentSecurityStore.read_dss(reader)
    crls = [asn1_crl.CertificateList.load(one.get_object().data) for one in store.crls]
    knowledge = LocalKnowledge(
        known_certs=list(store.load_certs()), known_crls=[CRLContainer(one) for one in crls]
    )
    spec = SignatureValidationSpec(
        cert_validation_policy=CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build(trust_roots=roots), revinfo_policy=policy
        ),
        revinfo_gathering_policy=RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY),
        local_knowledge=knowledge,
    )
    found = reader.embedded_signatures
    assert len(found) == 2
    for one in found:
        one.compute_integrity_info()
        result = asyncio.run(
            ades_with_time_validation(one.signed_data, spec, raw_digest=one.compute_digest())
        )
        assert result.ades_subindic is AdESPassed.OK
        assert one.summarise_integrity_info()["docmdp_ok"]


def test_without_a_time_stamp_authority_the_file_leaves_as_b_b(house: House) -> None:
    def down(_digest: bytes) -> bytes:
        raise Unavailable("signer-unavailable", "không", "no")

    certificate = house.directory.certificate_of_person(LEADER.address)
    assert certificate is not None
    begun = begin(house.prepared(), PERSON, certificate, [])
    key, _ = house.store.elliptic(f"person:{LEADER.address}")
    data, stamped = finish(begun, key.sign(begun.signed_attrs, ec.ECDSA(hashes.SHA256())), down)
    assert not stamped
    signer = PdfFileReader(io.BytesIO(data)).embedded_signatures[0].signer_info
    assert not signer["unsigned_attrs"]


def test_a_signature_can_be_resumed_later_with_the_bytes_kept(house: House) -> None:
    certificate = house.directory.certificate_of_person(LEADER.address)
    assert certificate is not None
    begun = begin(house.prepared(), PERSON, certificate, [])
    assert begun.data[begun.start : begun.start + 1] == b"<"
    assert len(begun.digest) == 32
    assert begun.digest in begun.signed_attrs


def test_number_is_filled_once_and_only_into_a_prepared_file(house: House) -> None:
    signed = house.person_signs(house.prepared()).data
    numbered = house.numbered(signed)
    for data in (numbered, compose_draft(DRAFT)):
        with pytest.raises(Refused) as refused:
            fill(data, "Số: 13/TB-VP", "Cà Mau, ngày 06 tháng 01 năm 2026")
        assert refused.value.code == "not-prepared"
    with pytest.raises(Refused) as refused:
        fill(signed, "x" * 121, "Cà Mau")
    assert refused.value.code == "bad-field-text"


def test_a_field_is_signed_once(house: House) -> None:
    signed = house.person_signs(house.prepared()).data
    with pytest.raises(Refused) as refused:
        house.person_signs(signed)
    assert refused.value.code == "not-prepared"


@pytest.mark.parametrize(
    ("day", "line"),
    [
        (date(2026, 1, 5), "Cà Mau, ngày 05 tháng 01 năm 2026"),
        (date(2026, 2, 28), "Cà Mau, ngày 28 tháng 02 năm 2026"),
        (date(2026, 3, 9), "Cà Mau, ngày 09 tháng 3 năm 2026"),
        (date(2026, 12, 31), "Cà Mau, ngày 31 tháng 12 năm 2026"),
    ],
)
def test_date_line(day: date, line: str) -> None:
    assert date_line("Cà Mau", day) == line


def test_long_documents_have_pages_and_their_signature_on_the_last(house: House) -> None:
    draft = Draft(
        agency="Sở Nội vụ",
        subject="báo cáo tình hình gửi, nhận văn bản điện tử",
        paragraphs=("Các cơ quan, đơn vị báo cáo kết quả thực hiện trong quý. " * 12,) * 14,
        post="Giám đốc",
        signer="Giám đốc",
        authority="KT. GIÁM ĐỐC",
        to=("Ủy ban nhân dân tỉnh Cà Mau;", "Các sở, ban, ngành tỉnh."),
    )
    data = prepare(compose_draft(draft))
    reader = PdfFileReader(io.BytesIO(data))
    pages = int(reader.root["/Pages"]["/Count"])
    assert pages > 2
    places = {
        str(one.get_object()["/T"]): one.get_object().raw_get("/P").reference
        for one in reader.root["/AcroForm"]["/Fields"]
    }
    last = reader.find_page_for_modification(pages - 1)[0].reference
    first = reader.find_page_for_modification(0)[0].reference
    assert places["nguoi_ky"] == places["co_quan"] == last
    assert places["so"] == places["ngay"] == first


def test_seal_stands_a_third_over_the_signature_and_on_its_left() -> None:
    person = Box(0, 300, 100, 150, 60)
    seal = seal_box(person)
    assert seal.left + seal.width == pytest.approx(person.left + 50)
    assert seal.width == pytest.approx(36 / 25.4 * 72)
    assert seal.bottom + seal.height / 2 == pytest.approx(130)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_places_are_those_seen_on_turned_pages(rotate: int) -> None:
    paper = Paper(0, 0, 600, 800, rotate)
    across, up = paper.size
    x1, y1, x2, y2 = paper.place(Box(0, 10, 20, 100, 50))
    assert {x2 - x1, y2 - y1} == {100, 50}
    assert 0 <= x1 < x2 <= 600
    assert 0 <= y1 < y2 <= 800
    corner = {0: (x1, y1), 90: (600 - x2, y1), 180: (600 - x2, 800 - y2), 270: (x1, 800 - y2)}[rotate]
    assert sorted(corner) == [10, 20]
    assert (across, up) == ((800, 600) if rotate in (90, 270) else (600, 800))


def test_a_layout_can_be_given(house: House) -> None:
    layout = Layout(
        Box(0, 50, 700, 100, 18),
        Box(0, 300, 700, 200, 18),
        Box(0, 300, 100, 150, 60),
        Box(0, 200, 80, 102, 102),
    )
    reader = PdfFileReader(io.BytesIO(prepare(compose_draft(DRAFT), layout)))
    boxes = {
        str(one.get_object()["/T"]): [int(v) for v in one.get_object()["/Rect"]]
        for one in reader.root["/AcroForm"]["/Fields"]
    }
    assert boxes["so"] == [50, 700, 150, 718]
    assert boxes["nguoi_ky"] == [300, 100, 450, 160]


def test_locks_are_in_the_fields(house: House) -> None:
    reader = PdfFileReader(io.BytesIO(house.prepared()))
    locks = {
        str(one.get_object()["/T"]): one.get_object()["/Lock"]
        for one in reader.root["/AcroForm"]["/Fields"]
        if "/Lock" in one.get_object()
    }
    assert locks[ORGANISATION]["/Action"] == "/All"
    assert int(locks[ORGANISATION]["/P"]) == 1
    assert locks[PERSON]["/Action"] == "/Exclude"
    assert {str(one) for one in locks[PERSON]["/Fields"]} == {"so", "ngay", ORGANISATION}


def test_signing_is_fast_enough(house: House) -> None:
    house.issued()
    prepared = house.prepared()
    began = time.process_time()
    signed = house.person_signs(prepared).data
    house.seals(house.with_data(house.numbered(signed)), signed)
    assert time.process_time() - began < 1.5  # measured about 0.1 s; the machine is shared
