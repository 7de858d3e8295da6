# SPDX-License-Identifier: AGPL-3.0-or-later
"""A draft is given back at each stage before its number, and what a lost key stops: what begun or signed is not used again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.refusal import Refused
from exchange.documents import files, give_back, joint_seal, opening, presented, records, turns, walk
from exchange.documents.approve import approve
from exchange.documents.draft import DraftRequest, create
from exchange.documents.model import DocumentRef
from exchange.documents.sign import sign
from exchange.documents.void import void
from exchange.documents.work import load, take_up
from exchange.key_acts import acts
from exchange.trust.pdf_judge import judge_pdf
from mailserver.accounts import page_sessions
from tests.exchange.documents.office import Office, draft_pdf
from tests.exchange.documents.test_signers import (
    CLERK,
    LEADER,
    OTHER_CLERK,
    OTHER_LEADER,
    ref_of,
)
from tests.exchange.receiving.carrying import issue


def drafted(office: Office, subject: str = "Họp", **more: Any) -> DocumentRef:
    request = DraftRequest("H12.01", ("H12.02",), "Thông báo", subject, LEADER, CLERK, **more)
    return create(office.exchange, request, draft_pdf(subject)).ref


def begun(office: Office) -> DocumentRef:
    """Opened by the leader: its signature is begun."""
    ref = drafted(office)
    presented.present(office.exchange, ref, office.province.people[LEADER])
    return ref


def approved(office: Office) -> DocumentRef:
    ref = drafted(office)
    approve(office.exchange, ref, office.province.people[LEADER], office.province.people[CLERK])
    return ref


def half_signed(office: Office) -> DocumentRef:
    """The first of two signers has signed."""
    exchange, people = office.exchange, office.province.people
    ref = drafted(office, co_signers=(OTHER_LEADER,))
    for who in (LEADER, OTHER_LEADER):
        approve(exchange, ref, people[who], people[CLERK])
    real, done = turns.finish, []

    def once(*args: Any) -> None:
        if done:
            raise Refused("stopped", "", "")
        done.append(1)
        real(*args)

    turns.finish = once
    try:
        with pytest.raises(Refused):
            sign(exchange, take_up(exchange, ref, "t"))
    finally:
        turns.finish = real
    return ref


def signed(office: Office) -> DocumentRef:
    ref = approved(office)
    sign(office.exchange, take_up(office.exchange, ref, "t"))
    return ref


@pytest.mark.parametrize(
    ("stage", "state"),
    [
        (drafted, "drafted"),
        (begun, "drafted"),
        (approved, "approved"),
        (half_signed, "signing"),
        (signed, "signed"),
    ],
)
@pytest.mark.parametrize("by", [LEADER, CLERK])
def test_given_back_at_each_stage_and_nothing_of_it_is_used_again(
    small_office: Office, stage: Callable[[Office], DocumentRef], state: str, by: str
) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = stage(small_office)
    assert load(exchange, ref).state == state
    give_back.give_back(exchange, ref, people[by], "sửa khoản 2")
    with exchange.database.reading() as conn:
        assert not [one for one in files.listing(conn, exchange.seal, ref) if one.role == "prepared"]
        (last,) = [one for one in records.events(conn, exchange.seal, ref) if one.kind == "document.returned"]
    assert (last.told["by"], last.told["reason"]) == (by, "sửa khoản 2")
    for act in (
        lambda: approve(exchange, ref, people[LEADER], people[CLERK]),
        lambda: walk.go_on(exchange, ref, people[CLERK]),
        lambda: presented.present(exchange, ref, people[LEADER]),
    ):
        with pytest.raises(Refused):
            act()
    give_back.submit_again(exchange, ref, people[CLERK], draft_pdf("Đã sửa"))
    with pytest.raises(Refused) as refused:
        walk.go_on(exchange, ref, people[CLERK])
    assert refused.value.code in ("not-approved", "wrong-state"), "earlier approvals are of another text"
    for who in {LEADER, *load(exchange, ref).fields.co_signers}:
        approve(exchange, ref, people[who], people[CLERK])
    told = walk.go_on(exchange, ref, people[CLERK])
    assert told["number"] == "01/TB-VP", "the first number: none was taken before"


def test_what_has_a_number_is_voided_not_given_back(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    with pytest.raises(Refused) as refused:
        give_back.give_back(exchange, ref, people[CLERK], "sửa")
    assert refused.value.code == "wrong-state"
    void(exchange, ref, people[CLERK], "sửa")


def test_a_lost_agency_key_voids_what_it_sealed_and_the_new_one_seals_the_rest(small_office: Office) -> None:
    """`agency key compromised --agency`: sealed and not sent is void; what only waits goes on with the new key."""
    exchange, people = small_office.exchange, small_office.province.people
    table = acts(exchange)
    sealed = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))  # waits for the other agency's seal
    waits, drafts = signed(small_office), drafted(small_office, "Nháp")
    sent = ref_of(issue(small_office))
    old = exchange.trust.signing_certificate_of_agency("H12.01")
    told = table["key.compromised"](agency="H12.01", person="", approval="", which="sign", by="cb@x")
    assert told["voided"] == [sealed.id]
    assert told["returned"] == []
    assert load(exchange, sealed).fields.reason == "Khóa ký bị lộ trước khi phát hành."
    assert [load(exchange, one).state for one in (waits, sent)] == ["signed", "sent"]
    with pytest.raises(Refused):
        walk.seal(exchange, sealed, people[OTHER_CLERK])
    assert old is not None
    assert told["replaced"] == [f"{old.serial_number:x}"]
    assert old.serial_number in {one.serial_number for crl in exchange.trust.crls() for one in crl}
    assert walk.go_on(exchange, waits, people[CLERK])["state"] == "sent"
    (found,) = opening.open_for(exchange, waits, people[CLERK])
    verdict = judge_pdf(found.data, exchange.trust.anchors(), require_revocation=True)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True)
    approve(exchange, drafts, people[LEADER], people[CLERK])
    assert walk.go_on(exchange, drafts, people[CLERK])["state"] == "sent"


def test_the_joint_seal_of_a_lost_key_is_voided_at_the_issuing_agency_too(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    joint_seal.seal_jointly(exchange, take_up(exchange, ref, "t"), people[OTHER_CLERK])
    assert load(exchange, ref).state == "sealed"
    told = acts(exchange)["key.compromised"](agency="H12.02", person="", approval="", which="sign", by="t")
    assert told["voided"] == [ref.id]
    assert walk.resume(exchange) == 0
    assert load(exchange, ref).state == "void"


def test_a_persons_lost_key_returns_what_is_signed_forgets_what_is_begun_and_ends_sessions(
    small_office: Office,
) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    done, started, numbered = signed(small_office), begun(small_office), None
    numbered = ref_of(issue(small_office, co_signers=[OTHER_LEADER]))
    tokens = [page_sessions.begin(exchange.accounts, people[LEADER], 1) for _ in range(2)]
    others = page_sessions.begin(exchange.accounts, people[CLERK], 1)
    told = acts(exchange)["key.compromised"](agency="", person=LEADER, approval="", which="both", by="t")
    assert (told["returned"], told["voided"], told["begun"]) == ([done.id], [numbered.id], [started.id])
    assert told["sessions"] == 2
    assert [page_sessions.holder(exchange.accounts, one) for one in tokens] == [None, None]
    assert page_sessions.holder(exchange.accounts, others) is not None
    with exchange.database.reading() as conn:
        kept = [one.role for one in files.listing(conn, exchange.seal, started)]
    assert "prepared" not in kept
    assert load(exchange, started).state == "drafted"
    approve(exchange, started, people[LEADER], people[CLERK])
    assert walk.go_on(exchange, started, people[CLERK])["state"] == "sent", "with the new key"
