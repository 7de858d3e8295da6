# SPDX-License-Identifier: AGPL-3.0-or-later
"""One gesture for three documents, killed with -9 at each step of the second: what was signed stays, the same gesture
goes on for the rest while it lives, and after that it signs nothing and leaves nothing."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.clock import now_us
from exchange.documents import draft, give_back, phone, presented, records, walk
from exchange.documents.model import DocumentRef
from exchange.documents.work import content, load, take_up
from exchange.signing.key_client import Keys
from exchange.signing.phone.approval import Assertion, Statement, challenge_for
from exchange.trust.pdf_judge import judge_pdf
from tests.conftest import Province
from tests.crash.one_process import run_killed
from tests.exchange.documents.office import Office, draft_pdf, office
from tests.exchange.signing.authenticator import Authenticator

CLERK, LEADER = "vt1@vpubnd.camau.example", "lanhdao@vpubnd.camau.example"

_PROCESS = """
import json, sys
from exchange.documents import phone, said_yes, signature
from exchange.documents.model import DocumentRef
from exchange.signing.phone.approval import Assertion, Statement
from tests.crash.one_process import die, exchange_of

made, (where, file) = exchange_of(sys.argv)
told = json.load(open(file))
chosen = [(DocumentRef(*ref), Statement.read(said)) for ref, said in told["items"]]
assertion = Assertion(*(bytes.fromhex(one) for one in told["assertion"]))

def second(holder, name, after=False):
    real, calls = getattr(holder, name), []
    def once(*args, **more):
        calls.append(1)
        if len(calls) == 2 and not after:
            die()
        found = real(*args, **more)
        if len(calls) == 2:
            die()
        return found
    setattr(holder, name, once)

if where == "prepared":
    second(said_yes, "begun_for")
elif where == "asked":
    second(made.signer, "sign_person")
elif where == "signed":
    second(made.signer, "sign_person", after=True)
elif where == "stamped":
    second(said_yes, "finish", after=True)
elif where == "written":
    second(made.files, "write", after=True)
elif where == "recording":
    second(signature, "write", after=True)
else:
    second(said_yes, "sign", after=True)
phone.sign_all(made, made.accounts.by_address(told["who"]), chosen, assertion)
"""


@pytest.fixture
def made(small_province: Province, tmp_path: Path) -> Iterator[Office]:
    with office(small_province, tmp_path) as one:
        yield one


@pytest.fixture
def finger(made: Office) -> Authenticator:
    """The leader's passkey."""
    keys, who = Keys(made.exchange.signer), made.province.people[LEADER]
    told = (who.address, who.name, who.title, who.agency_name)
    keys.person(*told, "t", approval="passkey", renew=True)
    code, _ = keys.invite_passkey(*told, "H12.01", "t")
    held = Authenticator()
    challenge, _ = keys.passkey_challenge(LEADER)
    keys.enrol_passkey(LEADER, code, held.register(challenge))
    return held


def three(made: Office) -> list[tuple[DocumentRef, Statement]]:
    """Three drafts, each opened, and what the leader is asked to say yes to."""
    exchange, who = made.exchange, made.province.people[LEADER]
    found = []
    for subject in ("Một", "Hai", "Ba"):
        request = draft.DraftRequest("H12.01", ("H12.02",), "Thông báo", subject, LEADER, CLERK)
        ref = draft.create(exchange, request, draft_pdf(subject)).ref
        shown = presented.present(exchange, ref, who)
        found.append((ref, phone.statement(exchange, ref, who, shown.digest, shown.shown)))
    return found


def gesture(finger: Authenticator, chosen: list[tuple[DocumentRef, Statement]]) -> Assertion:
    return finger.confirm(challenge_for([said for _, said in chosen]))


def problems(made: Office, chosen: list[tuple[DocumentRef, Statement]], yes: Assertion) -> list[str]:
    done = phone.sign_all(made.exchange, made.province.people[LEADER], chosen, yes)
    return ["" if one.problem is None else one.problem.code for one in done]


def states(made: Office, chosen: list[tuple[DocumentRef, Statement]]) -> list[str]:
    return [load(made.exchange, ref).state for ref, _ in chosen]


def signed_once(made: Office, ref: DocumentRef) -> None:
    exchange = made.exchange
    _, data = content(exchange, take_up(exchange, ref, "t"), "signed")
    verdict = judge_pdf(data, exchange.trust.anchors(), require_revocation=True)
    assert [one.role for one in verdict.signatures if one.role != "timestamp"] == ["person"], verdict
    assert verdict.verdict == "TOTAL-PASSED"
    with exchange.database.reading() as conn:
        said = records.approvals(conn, exchange.seal, ref)
        happened = records.events(conn, exchange.seal, ref)
    assert [one.kind for one in said if one.proof] == ["text"]
    assert [one.kind for one in happened].count("document.person-signed") == 1


def untouched(made: Office, ref: DocumentRef) -> None:
    """No approval and no signature of it anywhere in the document."""
    exchange = made.exchange
    with exchange.database.reading() as conn:
        assert records.approvals(conn, exchange.seal, ref) == []
        kinds = {one.kind for one in records.events(conn, exchange.seal, ref)}
    assert not kinds & {"document.approved", "document.person-signed", "document.content-checked"}


@pytest.mark.parametrize(
    "where", ["prepared", "asked", "signed", "stamped", "written", "recording", "committed"]
)
def test_killed_at_each_step_the_same_gesture_goes_on(
    made: Office, finger: Authenticator, tmp_path: Path, where: str
) -> None:
    chosen = three(made)
    yes = gesture(finger, chosen)
    told = {
        "who": LEADER,
        "items": [[list(ref), dataclasses.asdict(said)] for ref, said in chosen],
        "assertion": [one.hex() for one in dataclasses.astuple(yes)],
    }
    (tmp_path / "gesture.json").write_text(json.dumps(told))
    run_killed(made, _PROCESS, where, str(tmp_path / "gesture.json"))
    second = "signed" if where == "committed" else "drafted"
    assert states(made, chosen) == ["signed", second, "drafted"]
    for (ref, _), state in zip(chosen, states(made, chosen), strict=True):
        (signed_once if state == "signed" else untouched)(made, ref)
    assert problems(made, chosen, yes) == ["", "", ""]
    assert problems(made, chosen, yes) == ["", "", ""], "and once more, when the answer got lost"
    assert states(made, chosen) == ["signed"] * 3
    clerk = made.province.people[CLERK]
    for number, (ref, _) in enumerate(chosen, 1):
        signed_once(made, ref)
        assert walk.go_on(made.exchange, ref, clerk)["number"] == f"{number:02}/TB-VP"


def test_what_comes_after_five_minutes_is_void_and_a_new_gesture_is_asked(
    made: Office, finger: Authenticator
) -> None:
    chosen = three(made)
    old = [
        (ref, dataclasses.replace(said, at=now_us() - 301_000_000, id=secrets.token_hex(16)))
        for ref, said in chosen
    ]
    assert problems(made, old, gesture(finger, old)) == ["approval-expired"] * 3
    assert states(made, chosen) == ["drafted"] * 3
    for ref, _ in chosen:
        untouched(made, ref)
    assert problems(made, chosen, gesture(finger, chosen)) == ["", "", ""]


def test_what_changed_between_opening_and_gesture_is_void_and_stops_no_other(
    made: Office, finger: Authenticator
) -> None:
    """Given back, or given back and submitted with another text: per-item results."""
    chosen = three(made)
    exchange, who, clerk = made.exchange, made.province.people[LEADER], made.province.people[CLERK]
    yes = gesture(finger, chosen)
    give_back.give_back(exchange, chosen[0][0], who, "sửa")
    give_back.give_back(exchange, chosen[1][0], who, "sửa")
    give_back.submit_again(exchange, chosen[1][0], clerk, draft_pdf("Khác"))
    assert problems(made, chosen, yes) == ["wrong-state", "shown-differs", ""]
    assert states(made, chosen) == ["returned", "drafted", "signed"]
    untouched(made, chosen[1][0])
