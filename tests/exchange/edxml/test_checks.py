# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is wrong with a packet, codes and dates, statuses and their moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.edxml import codes, statuses
from exchange.edxml.checks import check
from exchange.edxml.model import Business, DocumentPacket, Organ, StatusPacket
from tests.exchange.edxml.samples import document

TODAY = date(2026, 11, 24)


def _rules(packet: DocumentPacket | StatusPacket, moment: str = "send") -> list[tuple[str, str, str]]:
    found = check(packet, "send" if moment == "send" else "receive", TODAY)
    return [(one.element, one.rule, one.severity) for one in found]


def test_a_good_packet_has_no_remarks() -> None:
    assert _rules(document()) == []
    assert _rules(document(), "receive") == []


@pytest.mark.parametrize(
    ("change", "element", "rule", "sending", "receiving"),
    [
        ({"subject": ""}, "Subject", "R-MET-01", "block", "block"),
        ({"subject": "x" * 501}, "Subject", "R-MET-01", "block", "warn"),
        ({"code_number": "1" * 12}, "Code/CodeNumber", "R-MET-02", "block", "warn"),
        ({"code_notation": ""}, "Code/CodeNotation", "R-MET-02", "block", "block"),
        ({"code_notation": "A,B"}, "Code/CodeNotation", "R-MET-02", "block", "warn"),
        ({"pages": ""}, "OtherInfo/PageAmount", "R-MET-03", "block", None),
        ({"document_id": "9fbfbad2-f1f8"}, "DocumentId", "R-MET-04", "block", "warn"),
        ({"priority": "7"}, "OtherInfo/Priority", "R-MET-07", "block", "block"),
        (
            {"promulgation_date": "2026/12/01"},
            "PromulgationInfo/PromulgationDate",
            "R-MET-08",
            "block",
            "warn",
        ),
        (
            {"promulgation_date": "2026/02/30"},
            "PromulgationInfo/PromulgationDate",
            "R-MET-08",
            "block",
            "warn",
        ),
        ({"references": ()}, "edXMLManifest", "R-MET-09", "block", "block"),
        (
            {"business": Business("2", "x", "a,2026,1")},
            "Bussiness/BussinessDocumentInfo",
            "R-MET-10",
            "block",
            "block",
        ),
        ({"business": Business("3", "x")}, "Bussiness/ReplacementInfoList", "R-MET-10", "block", "block"),
        ({"to": ()}, "To", "R-MET-06", "block", "block"),
        ({"to": (Organ("H12.11", "a"),) * 2}, "To", "R-MET-06", "block", "block"),
        ({"sender": Organ("?", "a")}, "From/OrganId", "R-MET-05", "block", "warn"),
    ],
)
def test_remarks(
    change: dict[str, object], element: str, rule: str, sending: str, receiving: str | None
) -> None:
    packet = replace(document(), **change)  # type: ignore[arg-type]
    assert (element, rule, sending) in _rules(packet)
    found = [
        severity for name, rule_, severity in _rules(packet, "receive") if (name, rule_) == (element, rule)
    ]
    assert found == ([receiving] if receiving else [])


def test_length_counts_characters_of_the_composed_form() -> None:
    decomposed = "e\u0302\u0301" * 500
    assert _rules(replace(document(), subject=decomposed)) == []


def test_recall_without_own_id_is_received() -> None:
    recall = replace(document(), business=Business("1", "x"), attachments=(), references=())
    assert "block" not in [severity for _, _, severity in _rules(recall, "receive")]
    assert ("Bussiness/DocumentId", "R-MET-10", "block") in _rules(recall, "send")


def test_codes_and_dates() -> None:
    assert codes.to_new_code("000.01.11.H12") == "H12.11.01"
    assert codes.to_new_code("000.00.00.H12") == "H12"
    assert codes.to_new_code("H12.11") == "H12.11"
    assert codes.is_code("001.00.20.JB2") is False
    assert codes.read_date("2018/09/28") == codes.read_date("28/09/2018") == date(2018, 9, 28)
    assert codes.read_date("2014/02/30") is None
    assert codes.read_moment("2018/09/28 17:25:11") == 1_538_130_311_000_000
    assert codes.write_moment(1_538_130_311_000_000) == "2018/09/28 17:25:11"
    assert codes.id_form("000.00.00.G22,2014/02/30,7806/VPCP-TTĐT") == "dated"
    assert codes.id_form(codes.rule_id("H12.01", 2026, 10)) == "rule"
    assert codes.id_form("9fbfbad2") == "other"
    assert codes.dated_id("H12.01", date(2026, 1, 5), "12/TB-VP") == "H12.01,2026/01/05,12/TB-VP"


def test_status_packets() -> None:
    received = statuses.answer(document(), Organ("H12.11", "Sở"), "03", 0)
    assert received.response_for.organ_id == "H12.01"
    assert received.timestamp == "1970/01/01 07:00:00"
    assert _rules(received) == []
    asked = statuses.ask_back(document(), "H12.11", 0, "Sai nơi nhận")
    assert asked.sender.organ_id == "H12.01"
    assert asked.response_for.organ_id == "H12.11"
    for code in ("02", "16"):
        with pytest.raises(Refused, match="reason-needed"):
            statuses.answer(document(), Organ("H12.11", "Sở"), code, 0)
    with pytest.raises(Refused, match="no-such-status"):
        statuses.answer(document(), Organ("H12.11", "Sở"), "99", 0)
    assert ("Description", "R-REC-05", "block") in _rules(replace(received, status_code="02", description=""))
    assert ("StatusCode", "R-MET-13", "block") in _rules(replace(received, status_code="07"))


@pytest.mark.parametrize(
    ("arrived", "state"),
    [
        ([], ""),
        (["01", "03", "04", "05", "06"], "06"),
        (["03", "05"], "05"),
        (["01", "03", "05", "04"], "04"),
        (["01", "02", "03"], "02"),
        (["01", "03", "06", "04"], "06"),
        (["01", "03", "13", "16"], "03"),
        (["01", "03", "13", "15"], "15"),
        (["01", "03", "15"], "03"),
    ],
)
def test_states(arrived: list[str], state: str) -> None:
    assert statuses.state_of(arrived) == state


def test_answer_to_a_recall_packet() -> None:
    assert statuses.step("03", "15", answers_packet=True) == "apply"
    assert statuses.step("03", "15") == "record"
    assert statuses.step("03", "03") == "repeat"


@given(st.lists(st.sampled_from(sorted(statuses.STATUS_NAMES)), max_size=12))
def test_repeats_change_nothing(arrived: list[str]) -> None:
    doubled = [code for code in arrived for _ in range(2)]
    assert statuses.state_of(doubled) == statuses.state_of(arrived)
