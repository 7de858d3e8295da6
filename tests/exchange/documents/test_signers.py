# SPDX-License-Identifier: AGPL-3.0-or-later
"""Initials, several signers, agencies that issue jointly, attachments: the walk, the packet, what receivers see."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.clock import today_local
from config.refusal import Refused, Unavailable
from exchange.documents import draft, files, give_back, joint_seal, listing, opening, records, turns, walk
from exchange.documents.approve import approve
from exchange.documents.issuers import issuers
from exchange.documents.model import DocumentRef
from exchange.documents.sign import sign
from exchange.documents.void import void
from exchange.documents.work import Work, content, load, take_up
from exchange.edxml.model import DocumentPacket
from exchange.edxml.read import read
from exchange.receiving import accepting
from exchange.receiving.evidence import evidence_of
from exchange.registers import rows
from exchange.registers.rows import Row
from exchange.registers.shown import items
from exchange.sealing.judging import Judging
from exchange.signing.key_client import Keys
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.verdict import Verdict
from exchange.verifying.evidence import verify_evidence
from mailserver.accounts import Agency
from policy.rights import Forbidden
from tests.exchange.documents.office import Office, draft_pdf
from tests.exchange.receiving.carrying import issue, round_trip

CLERK, LEADER, DRAFTER = (
    "vt1@vpubnd.camau.example",
    "lanhdao@vpubnd.camau.example",
    "cv1@vpubnd.camau.example",
)
OTHER_CLERK, OTHER_LEADER = "vt1@sonoivu.camau.example", "lanhdao@sonoivu.camau.example"


def annex(title: str) -> bytes:
    return draft_pdf(title, "Phụ lục")


def with_keys(office: Office) -> None:
    """The drafter of the small province gets a key of his own."""
    who = office.province.people[DRAFTER]
    Keys(office.exchange.signer).person(
        who.address, who.name, who.title, who.agency_name, "test", approval="file", renew=False
    )


@contextmanager
def crashing(room: Any, name: str) -> Iterator[None]:
    """What is done within comes to this function and no further: it raises `Unavailable`."""

    def crash(*_args: Any, **_more: Any) -> None:
        raise Unavailable("crash", "", "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, name, crash)
        yield


def ref_of(told: dict[str, Any]) -> DocumentRef:
    return DocumentRef(*(int(part) for part in told["id"].split("-")))


def lines(office: Office, ref: DocumentRef) -> list[tuple[str, bool]]:
    """(role, initials) of each signature of the main file, which must be sound and official."""
    exchange = office.exchange
    found = opening.open_for(exchange, ref, office.province.people[CLERK])
    verdict = judge_pdf(found[0].data, exchange.trust.anchors(), require_revocation=True)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True), verdict
    return [(one.role, one.initials) for one in verdict.signatures if one.role != "timestamp"]


def proved(office: Office, ref: DocumentRef) -> tuple[Verdict, bytes]:
    """The verdict on the document's evidence, offline."""
    exchange = office.exchange
    while office.sequencer.sequence_once():
        pass
    data = evidence_of(exchange, ref, CLERK)
    return verify_evidence(data, Judging(exchange.trust.anchors()), exchange.ledger_keys.all), data


def test_initials_joint_signers_and_attachments_go_all_the_way(any_office: Office, tmp_path: Path) -> None:
    office, exchange, people = any_office, any_office.exchange, any_office.province.people
    with_keys(office)
    told = issue(
        office,
        initials=[DRAFTER],
        co_signers=[OTHER_LEADER],
        annexes=[("phu-luc.pdf", annex("Danh mục 1")), ("phu-luc.pdf", annex("Danh mục 2"))],
    )
    ref = ref_of(told)
    assert (told["state"], told["number"]) == ("sealing", "01/TB-VP")
    with pytest.raises(Refused) as refused:
        walk.go_on(exchange, ref, people[CLERK])
    assert refused.value.code == "waits-for-seal"
    with pytest.raises(Forbidden):
        walk.seal(exchange, ref, people[CLERK])
    told = walk.seal(exchange, ref, people[OTHER_CLERK])
    assert told["state"] == "sent"
    with pytest.raises(Refused):
        walk.seal(exchange, ref, people[OTHER_CLERK])
    assert lines(office, ref) == [
        ("person", True),
        ("person", False),
        ("person", False),
        ("organisation", False),
        ("organisation", False),
    ]

    round_trip(office)
    (arrived,) = listing.listing(exchange, office.other.number, "incoming")
    assert (arrived.state, arrived.fields.official) == ("arrived", True), arrived.fields
    theirs = opening.open_for(exchange, arrived.ref, people[OTHER_CLERK])
    assert [one.stored.name for one in theirs] == ["van-ban.pdf", "phu-luc.pdf", "2-phu-luc.pdf"]
    for one in theirs[1:]:
        file = tmp_path / one.stored.name
        file.write_bytes(one.data)
        said = subprocess.run(["pdfsig", str(file)], capture_output=True, text=True, check=False).stdout
        assert said.count("Signature is Valid.") == 1
        assert "Total document signed" in said
        text = subprocess.run(
            ["pdftotext", str(file), "-"], capture_output=True, text=True, check=True
        ).stdout
        assert "Số: 01/TB-VP; " in text
    verdict, data = proved(office, ref)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True), verdict
    roles = [one.role for one in verdict.signatures if one.role != "timestamp"]
    assert roles.count("organisation") == 6  # CMS, XML, two seals, two attachments
    altered = bytearray(data)
    altered[len(altered) // 2] ^= 1
    assert not verify_evidence(
        bytes(altered), Judging(exchange.trust.anchors()), exchange.ledger_keys.all
    ).passed


def test_two_signers_of_one_agency_sign_in_their_order(small_office: Office) -> None:
    office, exchange, people = small_office, small_office.exchange, small_office.province.people
    with_keys(office)
    request = draft.DraftRequest(
        "H12.01",
        ("H12.02",),
        "Thông báo",
        "Họp",
        LEADER,
        DRAFTER,
        initials=(DRAFTER,),
        co_signers=(OTHER_LEADER,),
    )
    work = draft.create(exchange, request, draft_pdf())
    approve(exchange, work.ref, people[LEADER], people[LEADER])
    assert load(exchange, work.ref).state == "drafted"
    with pytest.raises(Refused) as refused:
        approve(exchange, work.ref, people[CLERK], people[CLERK])
    assert refused.value.code == "not-the-signer"
    for who in (DRAFTER, OTHER_LEADER):
        approve(exchange, work.ref, people[who], people[who])
    assert load(exchange, work.ref).state == "approved"
    sign(exchange, work)
    with exchange.database.reading() as conn:
        kept = [one.role for one in files.listing(conn, exchange.seal, work.ref)]
        done = turns.listing(conn, load(exchange, work.ref))
    assert kept == ["draft", "signing", "signing", "signed"]
    assert [(one.kind, one.by, one.waits) for one in done] == [
        ("initial", DRAFTER, False),
        ("sign", LEADER, False),
        ("sign", OTHER_LEADER, False),
        ("seal", "", True),
        ("seal", "", True),
    ]


def test_a_crash_between_two_signatures_goes_on_and_doubles_nothing(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    with_keys(small_office)
    request = draft.DraftRequest(
        "H12.01", ("H12.02",), "Thông báo", "Họp", LEADER, CLERK, initials=(DRAFTER,)
    )
    work = draft.create(exchange, request, draft_pdf())
    for who in (DRAFTER, LEADER):
        approve(exchange, work.ref, people[who], people[CLERK])
    real, calls = turns.finish, []

    def crash(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise Unavailable("crash", "", "")
        real(*args)

    turns.finish = crash
    try:
        with pytest.raises(Unavailable):
            sign(exchange, work)
    finally:
        turns.finish = real
    assert load(exchange, work.ref).state == "signing"
    told = walk.go_on(exchange, work.ref, people[CLERK])
    assert (told["state"], told["number"]) == ("sent", "01/TB-VP")
    assert lines(small_office, work.ref) == [("person", True), ("person", False), ("organisation", False)]


def test_a_crash_at_the_joint_seal_leaves_it_to_be_given_again(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    with crashing(records, "advance"), pytest.raises(Unavailable):
        walk.seal(exchange, ref, people[OTHER_CLERK])
    assert load(exchange, ref).state == "sealing"
    assert walk.resume(exchange) == 0
    assert walk.seal(exchange, ref, people[OTHER_CLERK])["state"] == "sent"


def test_sent_after_a_crash_right_after_the_last_seal(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    assert joint_seal.seal_jointly(exchange, take_up(exchange, ref, "t"), people[OTHER_CLERK])
    assert load(exchange, ref).state == "sealed"
    assert walk.resume(exchange) == 1
    assert load(exchange, ref).state == "sent"


def test_the_number_of_a_joint_document_that_is_not_sealed_can_be_voided(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    void(exchange, ref, people[CLERK], "cơ quan liên tịch không ký")
    assert load(exchange, ref).state == "void"
    with pytest.raises(Refused):
        walk.seal(exchange, ref, people[OTHER_CLERK])


def outgoing(office: Office, agency: Agency) -> list[Row]:
    """The rows of an agency's outgoing register this year."""
    with office.exchange.database.reading() as conn:
        return rows.listing(conn, office.exchange.seal, agency.number, "outgoing", today_local().year)


def test_each_issuing_agency_registers_the_document(any_office: Office) -> None:
    """R-REG-01: before it seals, the other agency has a row of its own that bears the issuing agency's number."""
    office, exchange, people = any_office, any_office.exchange, any_office.province.people
    own = issue(office, agency="H12.02", to=["H12.01"], signer=OTHER_LEADER, clerk=OTHER_CLERK)
    assert own["number"].startswith("01/TB-")
    refs = [ref_of(issue(office, co_signers=[OTHER_LEADER])) for _ in range(2)]
    assert [one.state for one in outgoing(office, office.home)] == ["numbered", "numbered"]
    assert len(outgoing(office, office.other)) == 1, "not before its clerk acts"
    with crashing(joint_seal, "seal_as_agency"), pytest.raises(Unavailable):
        walk.seal(exchange, refs[1], people[OTHER_CLERK])
    (mine, row) = outgoing(office, office.other)
    assert (mine.columns["number"], row.columns["number"]) == (own["number"], "02/TB-VP")
    assert (row.state, row.actor, row.home, row.document) == (
        "numbered",
        OTHER_CLERK,
        office.home.number,
        refs[1].document,
    )
    for ref in refs:
        assert walk.seal(exchange, ref, people[OTHER_CLERK])["state"] == "sent"
    found = outgoing(office, office.other)
    assert [one.columns["number"] for one in found] == [own["number"], "02/TB-VP", "01/TB-VP"]
    assert {one.state for one in found} == {"issued"}
    assert all(one.columns["sent_on"] for one in found)
    assert found[1].columns["note"] == f"Văn bản liên tịch; số của {office.home.name}"
    (first, _) = outgoing(office, office.home)
    assert first.columns["note"] == f"Văn bản liên tịch với {office.other.name}"
    told = items(exchange, office.other, "outgoing", today_local().year)
    assert told[1]["document_id"] == load(exchange, refs[1]).fields.document_id
    next_own = issue(office, agency="H12.02", to=["H12.01"], signer=OTHER_LEADER, clerk=OTHER_CLERK)
    assert next_own["number"].startswith("02/TB-"), "no number of its own was taken"


def test_the_other_agencys_row_is_voided_with_the_number(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    with crashing(joint_seal, "seal_as_agency"), pytest.raises(Unavailable):
        walk.seal(exchange, ref, people[OTHER_CLERK])
    void(exchange, ref, people[CLERK], "cơ quan liên tịch không ký")
    (row,) = outgoing(small_office, small_office.other)
    assert (row.state, row.reason) == ("void", "cơ quan liên tịch không ký")


def test_the_receiver_reads_and_registers_all_who_issued(small_office: Office) -> None:
    """Our receiver takes them from the seals; edXML, which names one sender, says it in words for others."""
    exchange, people = small_office.exchange, small_office.province.people
    walk.seal(exchange, ref_of(issue(small_office, co_signers=[OTHER_LEADER])), people[OTHER_CLERK])
    round_trip(small_office)
    (arrived,) = listing.listing(exchange, small_office.other.number, "incoming")
    assert issuers(exchange, arrived.fields) == [small_office.home.name, small_office.other.name]
    work = take_up(exchange, arrived.ref, "test")
    edxml = content(exchange, work, "edxml")[1]
    said = read(edxml).packet
    assert isinstance(said, DocumentPacket)
    assert said.content == f"Về việc họp giao ban (Văn bản liên tịch với {small_office.other.name})"
    assert said.subject == "Về việc họp giao ban"
    accepting.accept(exchange, arrived.ref, people[OTHER_CLERK])
    with exchange.database.reading() as conn:
        (row,) = rows.listing(conn, exchange.seal, small_office.other.number, "incoming", today_local().year)
    assert row.columns["author"] == f"{small_office.home.name}; {small_office.other.name}"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"co_signers": [LEADER]}, "signer-twice"),
        ({"initials": [LEADER]}, "signer-twice"),
        ({"initials": [DRAFTER]}, "no-certificate"),
        ({"initials": [OTHER_LEADER]}, "not-of-agency"),
        ({"co_signers": [OTHER_CLERK]}, "wrong-role"),
        ({"co_signers": ["ai@x.example"]}, "not-of-agency"),
        ({"initials": [f"a{n}@x.example" for n in range(13)]}, "too-many-signers"),
        ({"annexes": [("a.pdf", b"no pdf")]}, "draft-not-pdf"),
        ({"annexes": [("a.pdf", draft_pdf()[:2000])]}, "draft-damaged"),
        ({"annexes": [("a.pdf", draft_pdf())] * 21}, "too-many-annexes"),
    ],
)
def test_what_can_not_be_signed_so_leaves_nothing(
    small_office: Office, changed: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        issue(small_office, **changed)
    assert refused.value.code == code
    assert listing.listing(small_office.exchange, small_office.home.number, "outgoing") == []


def test_given_back_with_a_reason_and_submitted_again(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    with_keys(small_office)
    request = draft.DraftRequest(
        "H12.01", ("H12.02",), "Thông báo", "Họp", LEADER, DRAFTER, initials=(DRAFTER,)
    )
    work = draft.create(exchange, request, draft_pdf())
    approve(exchange, work.ref, people[DRAFTER], people[DRAFTER])
    for who, reason in ((OTHER_LEADER, "x"), (LEADER, " ")):
        with pytest.raises(Refused):
            give_back.give_back(exchange, work.ref, people[who], reason)
    give_back.give_back(exchange, work.ref, people[LEADER], "sửa khoản 2")
    document = load(exchange, work.ref)
    assert (document.state, document.fields.reason) == ("returned", "sửa khoản 2")
    with pytest.raises(Refused):
        approve(exchange, work.ref, people[LEADER], people[LEADER])
    with pytest.raises(Refused):
        give_back.submit_again(exchange, work.ref, people[OTHER_CLERK])
    give_back.submit_again(exchange, work.ref, people[DRAFTER], draft_pdf("Đã sửa"))
    assert (load(exchange, work.ref).state, load(exchange, work.ref).fields.reason) == ("drafted", "")
    for who in (DRAFTER, LEADER):
        approve(exchange, work.ref, people[who], people[who])
    assert walk.go_on(exchange, work.ref, people[CLERK])["state"] == "sent"
    text = opening.open_for(exchange, work.ref, people[CLERK])[0].data
    shown = subprocess.run(["pdftotext", "-", "-"], input=text, capture_output=True, check=True).stdout
    assert "Đã sửa".encode() in shown


def test_a_document_from_before_turns_were_kept_is_still_issued(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    request = draft.DraftRequest("H12.01", ("H12.02",), "Thông báo", "Họp", LEADER, CLERK)
    work: Work = draft.create(exchange, request, draft_pdf())
    exchange.database.write(lambda conn: conn.execute(sa.text("DELETE FROM document_turn")))
    approve(exchange, work.ref, people[LEADER], people[CLERK])
    assert walk.go_on(exchange, work.ref, people[CLERK])["state"] == "sent"
    with exchange.database.reading() as conn:
        assert not [one for one in turns.listing(conn, load(exchange, work.ref)) if one.waits]
