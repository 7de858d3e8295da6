# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing with a token of one's own on the pages: the PIN beside the document, one for several, the token away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.refusal import Refused
from exchange.documents import records, walk
from exchange.documents.draft import DraftRequest, create
from exchange.documents.model import DocumentRef
from exchange.documents.work import load
from exchange.key_acts import acts
from exchange.receiving.evidence import evidence_of
from exchange.sealing.judging import Judging
from exchange.signing.key_client import Keys
from exchange.verifying.evidence import verify_evidence
from tests.conftest import Province
from tests.exchange.documents.office import draft_pdf
from tests.exchange.signing.slots import PIN, Slots, softhsm
from tests.webmail.documents.conftest import CLERK, DRAFTER, LEADER, DocumentSite, documents_of
from webmail.bridge import Bridge


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[Slots]:
    with softhsm(tmp_path / "slots") as made:
        made.new("lãnh đạo")
        yield made


@pytest.fixture
def site(small_province: Province, bridge: Bridge, tmp_path: Path, slots: Slots) -> Iterator[DocumentSite]:
    """The leader's key lies in a token; the seal's in the signer's file."""
    with documents_of(small_province, bridge, tmp_path, slots.place()) as made:
        leader = made.person(LEADER)
        told = (LEADER, leader.name, leader.title, leader.agency_name, "cb@x.example")
        keys = Keys(made.office.exchange.signer)
        keys.person(*told, approval="token", renew=True, token="lãnh đạo", pin=PIN)
        yield made


def drafts(site: DocumentSite, *subjects: str) -> list[DocumentRef]:
    exchange = site.office.exchange
    return [
        create(
            exchange,
            DraftRequest("H12.01", ("H12.02",), "Thông báo", one, LEADER, DRAFTER),
            draft_pdf(one),
        ).ref
        for one in subjects
    ]


def digest_in(page: str) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


def test_what_was_opened_is_signed_with_the_pin_and_the_evidence_says_token(site: DocumentSite) -> None:
    (ref,) = drafts(site, "Về việc phòng cháy")
    leader, exchange = site.signed_in(LEADER), site.office.exchange
    shown = leader.get(f"/signing/{ref.id}")
    assert 'name="pin" type="password"' in shown.text
    told = {"pin": PIN, "digest": digest_in(shown.text)}
    for changed, status, words in (
        ({"pin": "13579"}, 400, "không đúng"),
        ({"pin": ""}, 400, "Nhập mã PIN"),
        ({"digest": "0" * 64}, 400, "đã đổi từ lúc mở xem"),
    ):
        answer = leader.post(f"/signing/{ref.id}/pin", told | changed)
        assert (answer.status_code, words in answer.text) == (status, True), changed
        assert 'aria-invalid="true"' in answer.text
        assert load(exchange, ref).state == "drafted"
    assert leader.post(f"/signing/{ref.id}/pin", told).status_code == 303
    assert load(exchange, ref).state == "signed"
    walk.go_on(exchange, ref, exchange.person(CLERK, site.office.home, "clerk"))
    while site.office.sequencer.sequence_once():
        pass
    with exchange.database.reading() as conn:
        said = records.approvals(conn, exchange.seal, ref)
    assert {one.mode for one in said if one.by == LEADER} == {"token"}
    evidence = evidence_of(exchange, ref, CLERK)
    verdict = verify_evidence(evidence, Judging(exchange.trust.anchors()), exchange.ledger_keys.all)
    assert verdict.verdict == "TOTAL-PASSED", verdict
    assert PIN.encode() not in evidence


def test_one_pin_for_several_and_each_was_opened_first(site: DocumentSite) -> None:
    first, second, third = drafts(site, "Một", "Hai", "Ba")
    leader, exchange = site.signed_in(LEADER), site.office.exchange
    for ref in (first, second):
        leader.get(f"/signing/{ref.id}")
    page = leader.get("/signing").text
    assert page.count(" checked") == 2
    assert page.count(" disabled") == 1
    answer = leader.post("/signing/pin", {"pin": PIN, "ref": [first.id, second.id, third.id]})
    assert answer.status_code == 409
    assert "chưa mở xem" in answer.text.lower()
    assert [load(exchange, one).state for one in (first, second, third)] == ["signed", "signed", "drafted"]


def test_a_wrong_pin_is_tried_once_for_all_and_a_token_away_says_so(site: DocumentSite, slots: Slots) -> None:
    refs = drafts(site, "Một", "Hai", "Ba", "Bốn")
    leader, exchange = site.signed_in(LEADER), site.office.exchange
    for ref in refs:
        leader.get(f"/signing/{ref.id}")
    chosen = {"ref": [one.id for one in refs]}
    for _ in range(2):
        answer = leader.post("/signing/pin", chosen | {"pin": "13579"})
        assert answer.status_code == 409
        assert answer.text.count("không đúng") == 1, "said once, beside the PIN"
    slots.pull("lãnh đạo")
    answer = leader.post("/signing/pin", chosen | {"pin": PIN})
    assert answer.text.count("cắm lại thiết bị") == 1
    english = site.signed_in(LEADER)
    english.headers = {**english.headers, "Accept-Language": "en"}
    assert english.post("/signing/pin", chosen | {"pin": PIN}).text.count("plug it in and try again") == 1
    slots.put_back("lãnh đạo")
    assert leader.post("/signing/pin", chosen | {"pin": PIN}).status_code == 303
    assert {load(exchange, one).state for one in refs} == {"signed"}


def test_a_new_token_takes_the_place_of_a_lost_one(site: DocumentSite, slots: Slots) -> None:
    """`agency key compromised --person … --token`: what was begun is forgotten, the new PIN signs; without a token it says so."""
    (ref,) = drafts(site, "Về việc phòng cháy")
    leader, exchange = site.signed_in(LEADER), site.office.exchange
    leader.get(f"/signing/{ref.id}")
    lost = acts(exchange)["key.compromised"]
    told = {"agency": "", "person": LEADER, "approval": "", "which": "both", "by": "t"}
    with pytest.raises(Refused) as refused:
        lost(**told)
    assert refused.value.code == "token-needed"
    slots.pull("lãnh đạo")
    slots.new("thiết bị mới")
    answer = lost(**told, token="thiết bị mới", pin=PIN)
    assert (answer["approval"], answer["begun"], answer["sessions"]) == ("token", [ref.id], 1)
    again = site.signed_in(LEADER)
    shown = again.get(f"/signing/{ref.id}")
    told = {"pin": PIN, "digest": digest_in(shown.text)}
    assert again.post(f"/signing/{ref.id}/pin", told).status_code == 303
    assert load(exchange, ref).state == "signed"
