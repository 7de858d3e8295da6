# SPDX-License-Identifier: AGPL-3.0-or-later
"""The whole way between two agencies: issued, carried, arrived (01), accepted (03) or refused (02), outcomes."""

from __future__ import annotations

import pytest

from config.clock import today_local
from config.refusal import Refused
from exchange.documents import finding, walk
from exchange.documents.model import Document
from exchange.documents.work import content, judging, take_up
from exchange.receiving import accepting
from exchange.receiving.evidence import evidence_of
from exchange.registers import rows
from exchange.registers.shown import items
from exchange.verifying.evidence import verify_evidence
from exchange.verifying.report import read_report
from exchange.worker import acts
from policy.rights import Forbidden
from tests.exchange.documents.office import Office, draft_pdf
from tests.exchange.receiving.carrying import CLERK, LEADER, RECEIVER, arrivals, issue, outcome, round_trip


def test_issued_arrived_accepted(any_office: Office) -> None:
    office, exchange = any_office, any_office.exchange
    told = issue(office)
    assert told["recipients"] == [{"agency": "H12.02", "state": "queued"}]
    assert outcome(office, told) == ("pending", [("sent", False)])
    round_trip(office)
    assert outcome(office, told) == ("delivered", [("sent", True), ("arrived", True)])
    (arrived,) = arrivals(office)
    assert (arrived.state, arrived.fields.official, arrived.fields.number) == ("arrived", True, "01/TB-VP")
    _report_stands(office, arrived)
    clerk = office.province.people[RECEIVER]
    assert accepting.accept(exchange, arrived.ref, clerk) == "01"
    round_trip(office)
    assert outcome(office, told) == (
        "accepted",
        [("sent", True), ("arrived", True), ("registered", True)],
    )
    year = today_local().year
    with exchange.database.reading() as conn:
        out = rows.listing(conn, exchange.seal, office.home.number, "outgoing", year)
    assert [(one.state, one.columns["number"]) for one in out] == [("issued", "01/TB-VP")]
    (into,) = items(exchange, office.other, "incoming", year)
    assert (into["arrival_number"], into["author"], into["number"], into["note"]) == (
        "01",
        "Văn phòng UBND",
        "01/TB-VP",
        "",
    )
    assert into["document_id"] == told["document_id"]
    with pytest.raises(Refused) as refused:
        accepting.accept(exchange, arrived.ref, clerk)
    assert refused.value.code == "wrong-state"


def _report_stands(office: Office, arrived: Document) -> None:
    """What was found on receipt is kept, signed by the receiver, with the word of both validators."""
    exchange = office.exchange
    _, data = content(exchange, take_up(exchange, arrived.ref, RECEIVER), "report")
    report = read_report(data, judging(exchange))
    assert report is not None
    assert [(name, one.verdict) for name, one in report.layers[:2]] == [
        ("CMS", "TOTAL-PASSED"),
        ("edXML", "TOTAL-PASSED"),
    ]
    _, pdf = report.layers[2]
    assert pdf.official
    assert dict(pdf.signatures[0].opinions) == {"congvan": "TOTAL-PASSED", "pyhanko": "TOTAL-PASSED"}
    assert all(one.certificate for one in pdf.signatures)
    assert report.whole
    assert report.packet == arrived.fields.packet_digest


def test_refused_with_reason(small_office: Office) -> None:
    office, exchange = small_office, small_office.exchange
    told = issue(office, kind="Công văn", unit="KGVX")
    assert told["number"] == "01/VP-KGVX"
    round_trip(office)
    (arrived,) = arrivals(office)
    clerk = office.province.people[RECEIVER]
    with pytest.raises(Refused):
        accepting.refuse(exchange, arrived.ref, clerk, " ")
    accepting.refuse(exchange, arrived.ref, clerk, "Gửi nhầm nội dung")
    round_trip(office)
    assert outcome(office, told) == ("refused", [("sent", True), ("arrived", True), ("refused", True)])


def test_only_a_clerk_of_the_receiver_accepts(small_office: Office) -> None:
    issue(small_office)
    round_trip(small_office)
    (arrived,) = arrivals(small_office)
    for address in (CLERK, LEADER, "lanhdao@sonoivu.camau.example", "cv1@sonoivu.camau.example"):
        with pytest.raises(Forbidden):
            accepting.accept(small_office.exchange, arrived.ref, small_office.province.people[address])


def test_found_by_every_name(small_office: Office) -> None:
    exchange = small_office.exchange
    told = issue(small_office)
    round_trip(small_office)
    (arrived,) = arrivals(small_office)
    for name in (told["id"], told["document_id"], told["number"]):
        assert finding.find(exchange, name).id == told["id"]
        found = finding.incoming(exchange, name, small_office.other)
        assert found is not None
        assert found.ref == arrived.ref
    assert finding.find(exchange, arrived.id).ref == arrived.ref
    with pytest.raises(Refused):
        finding.find(exchange, "99/TB-VP")


def test_the_acts_of_the_command_line(small_office: Office) -> None:
    office = small_office
    table = acts(office.exchange)
    told = table["document.issue"](
        pdf=draft_pdf(),
        file_name="họp.pdf",
        agency="H12.01",
        to=["H12.02"],
        kind="Thông báo",
        unit="",
        subject="Họp",
        signer=LEADER,
        clerk=CLERK,
    )
    with pytest.raises(Refused) as refused:
        table["document.accept"](document="77/TB-VP", agency="H12.02", clerk=RECEIVER)
    assert refused.value.code == "no-such-document"
    round_trip(office)
    accepted = table["document.accept"](document=told["id"], agency="H12.02", clerk=RECEIVER)
    assert (accepted["state"], accepted["arrival_number"]) == ("registered", "01")
    round_trip(office)
    assert table["document.status"](document=told["number"])["recipients"][0]["outcome"] == "accepted"
    evidence = table["document.evidence"](document=told["document_id"], who=CLERK)["data"]
    verdict = verify_evidence(evidence, judging(office.exchange), office.exchange.ledger_keys.all)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True), verdict.reason


def test_evidence_only_of_what_was_sent(small_office: Office) -> None:
    issue(small_office)
    round_trip(small_office)
    (arrived,) = arrivals(small_office)
    with pytest.raises(Refused) as refused:
        evidence_of(small_office.exchange, arrived.ref, RECEIVER)
    assert refused.value.code == "not-sent"


def test_the_answer_is_that_of_the_design(small_office: Office) -> None:
    told = issue(small_office)
    assert set(told) == {"id", "document_id", "number", "state", "packet_digest", "recipients"}
    assert walk.answer(small_office.exchange, finding.find(small_office.exchange, told["id"]).ref) == told
