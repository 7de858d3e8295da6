# SPDX-License-Identifier: AGPL-3.0-or-later
"""Initials, several signers and organisations, attachments, pictures, archive copies: pdfsig and pyHanko agree."""

from __future__ import annotations

import asyncio
import hashlib
import io
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image, ImageDraw
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager

from config.refusal import Refused
from exchange.signing.pdf.archive import Renewed, judge_copy, renew
from exchange.signing.pdf.attachment import attachment_line, copy_line, seal_attachment
from exchange.signing.pdf.compose import compose_draft
from exchange.signing.pdf.layout import INITIAL, MM, ORGANISATION, PERSON, Layout, nth
from exchange.signing.pdf.marks import hand_signature, initial, pen_stroke, seal_picture
from exchange.signing.pdf.picture import picture
from exchange.signing.pdf.prepare import places, prepare
from exchange.signing.pdf.sign import begin_as_person, begun_before, seal_as_agency, sign_as_person
from exchange.trust.pdf_changes import POLICY
from exchange.trust.pdf_judge import judge_pdf
from tests.exchange.signing.house import (
    DEPUTY,
    DIRECTOR,
    DRAFT,
    HOME,
    LEADER,
    OFFICE,
    House,
    person_approval,
    seal_approval,
)

ZONE = timezone(timedelta(hours=7))


def joint_layout(initials: int = 1) -> Layout:
    """Two people, two organisations on the composed draft."""
    return places(compose_draft(DRAFT))[0].joint(people=2, organisations=2, initials=initials)


def pdfsig(data: bytes, folder: Path) -> str:
    """What pdfsig says."""
    file = folder / "said.pdf"
    file.write_bytes(data)
    return subprocess.run(["pdfsig", str(file)], capture_output=True, text=True, check=False).stdout


def roots(house: House) -> list[asn1_x509.Certificate]:
    return [asn1_x509.Certificate.load(one.public_bytes(Encoding.DER)) for one in house.anchors().roots]


def pyhanko_says(house: House, data: bytes) -> list[bool]:
    """bottom_line of every signature by pyHanko's own validator."""
    trusted = ValidationContext(trust_roots=roots(house), allow_fetching=False)
    reader = PdfFileReader(io.BytesIO(data))
    return [
        validate_pdf_signature(one, trusted, diff_policy=POLICY).bottom_line
        for one in reader.embedded_regular_signatures
    ]


@pytest.fixture(scope="module")
def joint(house: House) -> bytes:
    """Initialled, signed by two leaders, numbered, sealed by both agencies."""
    return joint_walk(house)


def joint_walk(house: House) -> bytes:
    data = prepare(compose_draft(DRAFT), joint_layout())
    yes = person_approval(data, DEPUTY, purpose="initial")
    data = sign_as_person(data, house.client, house.directory, yes, initial("PCVP"), INITIAL).data
    for place, person in enumerate((LEADER, DIRECTOR)):
        yes = person_approval(data, person)
        mark = pen_stroke(person.name)
        data = sign_as_person(data, house.client, house.directory, yes, mark, nth(PERSON, place)).data
    signed = data
    data = house.with_data(house.numbered(data, "12/TTLT-VP-SNV"))
    data = house.seals(data, signed, OFFICE.code, ORGANISATION).data
    return house.seals(data, signed, HOME.code, nth(ORGANISATION, 1)).data


def test_a_joint_document_is_sound_for_us_pdfsig_and_pyhanko(
    house: House, joint: bytes, tmp_path: Path
) -> None:
    verdict = judge_pdf(joint, house.anchors(), require_revocation=True)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True), verdict
    signed = [one for one in verdict.signatures if one.role != "timestamp"]
    assert [(one.role, one.initials) for one in signed] == [
        ("person", True),
        ("person", False),
        ("person", False),
        ("organisation", False),
        ("organisation", False),
    ]
    assert "2 person(s) and sealed by 2 organisation(s)" in verdict.reason
    said = pdfsig(joint, tmp_path)
    assert said.count("Signature is Valid.") == 5, said
    assert "Total document signed" in said.split("Signature #5")[1]
    assert pyhanko_says(house, joint) == [True] * 5


def test_the_first_seal_of_two_leaves_only_the_second_open(house: House, joint: bytes) -> None:
    before = joint[: joint.rfind(b"%%EOF", 0, len(joint) - 10) + 6]
    verdict = judge_pdf(before, house.anchors())
    assert verdict.verdict != "UNREADABLE"
    assert judge_pdf(joint + b"\n% more\n", house.anchors()).sub_indication == "CHANGED_AFTER_SEAL"


def test_initials_do_not_stand_for_the_signature(house: House, tmp_path: Path) -> None:
    data = prepare(compose_draft(DRAFT), places(compose_draft(DRAFT))[0].joint(initials=1))
    yes = person_approval(data, DEPUTY, purpose="initial")
    data = sign_as_person(data, house.client, house.directory, yes, initial("PCVP"), INITIAL).data
    verdict = judge_pdf(data, house.anchors())
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", False)
    assert "initialled only" in verdict.reason
    sealed = house.seals(house.with_data(house.numbered(data)), data).data
    verdict = judge_pdf(sealed, house.anchors())
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "NO_PERSON_SIGNATURE")
    assert pdfsig(sealed, tmp_path).count("Signature is Valid.") == 2


@pytest.mark.parametrize(("purpose", "field"), [("sign", INITIAL), ("initial", PERSON)])
def test_the_signer_takes_no_initials_for_a_signature(house: House, purpose: str, field: str) -> None:
    data = prepare(compose_draft(DRAFT), joint_layout())
    yes = person_approval(data, LEADER, purpose=purpose)
    with pytest.raises(Refused) as problem:
        sign_as_person(data, house.client, house.directory, yes, None, field)
    assert problem.value.code == "attributes-not-fit"


def test_signing_out_of_order_is_seen(house: House) -> None:
    data = prepare(compose_draft(DRAFT), joint_layout(0))
    for place, person in ((1, DIRECTOR), (0, LEADER)):
        yes = person_approval(data, person)
        data = sign_as_person(data, house.client, house.directory, yes, None, nth(PERSON, place)).data
    assert judge_pdf(data, house.anchors()).sub_indication == "ILLEGAL_CHANGES"


def test_attachments_and_copies_get_the_prescribed_line(house: House, tmp_path: Path) -> None:
    moment = datetime(2026, 1, 5, 10, 30, 0, tzinfo=ZONE)
    line = attachment_line("12/TB-VP", moment)
    assert line == "Số: 12/TB-VP; 05/01/2026; 10:30:00 +07:00"
    assert copy_line("SAO Y", "Văn phòng", moment) == "SAO Y; Văn phòng; 05/01/2026; 10:30:00 +07:00"
    pdf = compose_draft(replace(DRAFT, kind="Phụ lục"))
    sealed = seal_attachment(pdf, line, house.client, house.directory, OFFICE.code, seal_approval(pdf)).data
    said = pdfsig(sealed, tmp_path)
    assert said.count("Signature is Valid.") == 1
    assert "Total document signed" in said
    text = subprocess.run(
        ["pdftotext", "-bbox", str(tmp_path / "said.pdf"), "-"], capture_output=True, text=True, check=True
    ).stdout
    (word,) = [row for row in text.splitlines() if ">10:30:00<" in row]
    assert float(word.split('yMin="')[1].split('"')[0]) < 15 * MM
    verdict = judge_pdf(sealed, house.anchors())
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", False)
    assert "attachment" in verdict.reason
    assert pyhanko_says(house, sealed) == [True]
    with pytest.raises(Refused, match="bad-field-text"):
        seal_attachment(pdf, "a\nb", house.client, house.directory, OFFICE.code, seal_approval(pdf))


def drawn(colour: tuple[int, int, int, int], ground: tuple[int, int, int, int] = (0, 0, 0, 0)) -> bytes:
    image = Image.new("RGBA", (300, 300), ground)
    ImageDraw.Draw(image).ellipse((20, 20, 280, 280), outline=colour, width=24)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


BLUE, RED = (20, 40, 160, 255), (200, 20, 30, 255)


def test_pictures_of_hand_signature_and_seal_go_onto_the_page(house: House, tmp_path: Path) -> None:
    hand, seal = picture(drawn(BLUE), "blue"), picture(drawn(RED), "red")
    data = house.prepared()
    yes = person_approval(data)
    signed = sign_as_person(data, house.client, house.directory, yes, hand_signature(hand)).data
    sealed = seal_as_agency(
        house.with_data(house.numbered(signed)),
        house.client,
        house.directory,
        OFFICE.code,
        seal_approval(signed),
        seal_picture(seal),
    ).data
    assert pdfsig(sealed, tmp_path).count("Signature is Valid.") == 2
    rows = subprocess.run(
        ["pdftoppm", "-r", "72", "-png", str(tmp_path / "said.pdf"), str(tmp_path / "page")],
        capture_output=True,
        check=True,
    )
    assert rows.returncode == 0
    page = Image.open(next(tmp_path.glob("page*.png"))).convert("RGB")
    red = [
        (x, y)
        for x in range(page.width)
        for y in range(page.height)
        if page.getpixel((x, y))[0] > 150 and page.getpixel((x, y))[1] < 80  # type: ignore[index]
    ]
    across = max(x for x, _ in red) - min(x for x, _ in red)
    assert abs(across - 36 * MM * 260 / 300) < 6  # real size: 36 mm across the whole picture
    place = places(compose_draft(DRAFT))[0]
    covered = place.organisation.left + place.organisation.width - place.person.left
    assert covered == pytest.approx(place.person.width / 3)


@pytest.mark.parametrize(
    ("data", "ink", "code"),
    [
        (b"no picture", "blue", "picture-not-png"),
        (drawn(BLUE)[:-40], "blue", "picture-not-png"),
        (drawn(BLUE, (255, 255, 255, 255)), "blue", "picture-ground"),
        (drawn(RED), "blue", "picture-colour"),
        (drawn(BLUE), "red", "picture-colour"),
        (b"\x89PNG" + b"0" * 2_000_000, "red", "picture-too-large"),
    ],
)
def test_what_is_no_fit_picture_is_refused(data: bytes, ink: str, code: str) -> None:
    with pytest.raises(Refused) as problem:
        picture(data, ink)  # type: ignore[arg-type]
    assert problem.value.code == code
    assert problem.value.vi
    assert problem.value.en


def certificates(house: House) -> list[object]:
    known = house.directory
    return [
        one
        for one in (
            known.certificate_of_person(LEADER.address),
            known.signing_certificate_of_agency(OFFICE.code),
            known.timestamp_certificate(),
            known.issuing_certificate(),
            *known.anchors().roots,
        )
        if one
    ]


def test_an_archive_copy_is_renewed_and_the_sent_file_is_in_it(
    house: House, issued: bytes, tmp_path: Path
) -> None:
    crls = house.directory.crls()
    copy = renew(issued, len(issued), certificates(house), crls, house.client.timestamp)  # type: ignore[arg-type]
    again = renew(copy.data, copy.size, certificates(house), crls, house.client.timestamp)  # type: ignore[arg-type]
    for one in (copy, again):
        assert one.data.startswith(issued)
        assert one.original == hashlib.sha256(issued).hexdigest()
        verdict = judge_copy(one, house.anchors())
        assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True), verdict
    assert pdfsig(again.data, tmp_path).count("Signature is Valid.") == 2
    assert judge_pdf(copy.data, house.anchors()).sub_indication == "CHANGED_AFTER_SEAL"
    policy = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(trust_roots=roots(house)),
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
    )
    spec = PdfSignatureValidationSpec(
        SignatureValidationSpec(
            cert_validation_policy=policy,
            revinfo_gathering_policy=RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY),
        ),
        diff_policy=POLICY,
    )
    reader = PdfFileReader(io.BytesIO(again.data))
    for one in reader.embedded_regular_signatures:
        result = asyncio.run(ades_lta_validation(one, spec))
        assert result.ades_subindic is AdESPassed.OK


def test_a_copy_of_another_document_or_with_a_byte_changed_is_refused(house: House, issued: bytes) -> None:
    crls = house.directory.crls()
    copy = renew(issued, len(issued), certificates(house), crls, house.client.timestamp)  # type: ignore[arg-type]
    foreign = replace(copy, original="0" * 64)
    assert judge_copy(foreign, house.anchors()).sub_indication == "HASH_FAILURE"
    longer = replace(copy, data=copy.data + b"%\n")
    assert judge_copy(longer, house.anchors()).verdict == "TOTAL-FAILED"
    altered = bytearray(copy.data)
    altered[len(issued) + 400] ^= 1
    assert judge_copy(replace(copy, data=bytes(altered)), house.anchors()).verdict != "TOTAL-PASSED"
    with pytest.raises(Refused) as problem:
        renew(b"%PDF-1.7 nothing", 10, [], [], house.client.timestamp)
    assert problem.value.code == "not-archivable"
    assert isinstance(copy, Renewed)


def test_a_begun_signature_is_taken_up_again_from_its_bytes(house: House) -> None:
    data = house.prepared()
    begun = begin_as_person(data, house.directory, LEADER.address, pen_stroke("x"))
    again = begun_before(begun.data, PERSON, house.directory, LEADER.address)
    assert again == begun
    with pytest.raises(Refused):
        begun_before(data, PERSON, house.directory, LEADER.address)
    with pytest.raises(Refused):
        begun_before(begun.data + b"x", PERSON, house.directory, LEADER.address)
