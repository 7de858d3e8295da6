# SPDX-License-Identifier: AGPL-3.0-or-later
"""S40: A passkey approves: enrolled with an officer's code, bound to document, signer, purpose and time."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import now_us
from config.refusal import Refused
from exchange.signing.key_client import Keys
from exchange.signing.pdf.layout import PERSON
from exchange.signing.pdf.sign import Begun, begin_as_person, finish
from exchange.signing.phone.approval import (
    MOST,
    NOTHING_SHOWN,
    Approval,
    Statement,
    approvals,
    challenge_for,
)
from exchange.signing.protocol import PersonApproval, SealApproval
from exchange.trust.pdf_judge import judge_pdf
from tests.exchange.signing.authenticator import Authenticator
from tests.exchange.signing.house import DEPUTY, HOME, LEADER, OFFICE, House

WHO = "truongphong@vpubnd.camau.example"


def enrol(house: House, phone: Authenticator, address: str = WHO, code: str = OFFICE.code) -> None:
    """The officer gives a code, the person enrols the phone."""
    keys = Keys(house.client)
    word, _ = keys.invite_passkey(address, "Trưởng phòng", "Trưởng phòng", OFFICE.name, code, "cb@x.example")
    challenge, host = keys.passkey_challenge(address)
    assert host == "localhost"
    credential, _ = keys.enrol_passkey(address, word, phone.register(challenge))
    assert credential == phone.credential


@pytest.fixture(scope="module")
def phone(house: House) -> Authenticator:
    """The phone of a person whose key wants a passkey."""
    Keys(house.client).person(
        WHO, "Trưởng phòng", "Trưởng phòng", OFFICE.name, "cb@x.example", approval="passkey"
    )
    made = Authenticator()
    enrol(house, made)
    return made


def begun_for(house: House) -> Begun:
    return begin_as_person(house.prepared(), house.directory, WHO)


def statement(begun: Begun, **changes: object) -> Statement:
    told = {
        "purpose": "sign",
        "signer": WHO,
        "document": begun.digest.hex(),
        "shown": hashlib.sha256(b"pages").hexdigest(),
        "at": now_us(),
        "id": secrets.token_hex(16),
    }
    return Statement(**{**told, **changes})  # type: ignore[arg-type]


def yes_of(proof: Approval, **changes: object) -> PersonApproval:
    said = proof.statement
    made = PersonApproval(said.id, WHO, said.document, said.at, "passkey", "sign", proof.as_json())
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def refused(house: House, begun: Begun, yes: PersonApproval) -> str:
    with pytest.raises(Refused) as problem:
        house.client.sign_person(WHO, yes, begun.digest, begun.signed_attrs)
    assert problem.value.vi
    assert problem.value.en
    return problem.value.code


def test_one_gesture_signs_a_document(house: House, phone: Authenticator) -> None:
    begun = begun_for(house)
    said = statement(begun)
    (proof,) = approvals([said], phone.confirm(challenge_for([said])))
    signed = house.client.sign_person(WHO, yes_of(proof), begun.digest, begun.signed_attrs)
    data, stamped = finish(begun, signed.signature, house.client.timestamp)
    assert stamped
    verdict = judge_pdf(data, house.anchors())
    assert verdict.verdict == "TOTAL-PASSED"
    assert verdict.reason.endswith("(approved by passkey)")
    again = house.client.sign_person(WHO, yes_of(proof), begun.digest, begun.signed_attrs)
    assert again.use.approval == "passkey"


def test_one_gesture_for_thirty_documents_and_each_has_its_own_proof(
    house: House, phone: Authenticator
) -> None:
    begun = begun_for(house)
    said = [statement(begun, document=hashlib.sha256(bytes([n])).hexdigest()) for n in range(MOST)]
    said[17] = statement(begun)
    proofs = approvals(said, phone.confirm(challenge_for(said)))
    house.client.sign_person(WHO, yes_of(proofs[17]), begun.digest, begun.signed_attrs)
    house.client.sign_person(WHO, yes_of(proofs[17]), begun.digest, begun.signed_attrs)
    assert refused(house, begun, yes_of(proofs[16])) == "approval-of-other"
    swapped = replace(proofs[16], statement=said[17])
    assert refused(house, begun, yes_of(swapped)) in ("passkey-refused", "approval-unreadable")
    with pytest.raises(Refused):
        challenge_for([statement(begun) for _ in range(MOST + 1)])
    with pytest.raises(Refused):
        challenge_for([])


@given(st.integers(1, MOST), st.data())
@settings(max_examples=40, deadline=None)
def test_every_proof_of_a_batch_leads_to_its_challenge(size: int, data: st.DataObject) -> None:
    said = [Statement("sign", f"a{n}@x", "0" * 64, NOTHING_SHOWN, n, f"{n:032x}") for n in range(size)]
    phone = Authenticator()
    challenge = challenge_for(said)
    proofs = approvals(said, phone.confirm(challenge))
    assert {one.challenge() for one in proofs} == {challenge}
    one = data.draw(st.sampled_from(proofs))
    assert Approval.read(one.as_json()) == one
    other = replace(one, statement=replace(one.statement, at=one.statement.at + 1))
    assert other.challenge() != challenge


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"at": 1_000_000}, "approval-expired"),
        ({"signer": LEADER.address}, "approval-of-other"),
        ({"purpose": "initial"}, "approval-of-other"),
        ({"purpose": "seal"}, "approval-of-other"),
        ({"document": "1" * 64}, "approval-of-other"),
    ],
)
def test_a_yes_to_something_else_signs_nothing(
    house: House, phone: Authenticator, changes: dict[str, object], code: str
) -> None:
    begun = begun_for(house)
    said = statement(begun, **changes)
    (proof,) = approvals([said], phone.confirm(challenge_for([said])))
    assert refused(house, begun, yes_of(proof)) == code


def test_a_yes_to_other_bytes_is_not_used_for_these(house: House, phone: Authenticator) -> None:
    begun, other = begun_for(house), begin_as_person(house.with_data(house.prepared()), house.directory, WHO)
    said = statement(begun)
    (proof,) = approvals([said], phone.confirm(challenge_for([said])))
    with pytest.raises(Refused) as problem:
        house.client.sign_person(WHO, yes_of(proof), begun.digest, other.signed_attrs)
    assert problem.value.code == "digest-mismatch"
    with pytest.raises(Refused) as problem:
        house.client.sign_person(WHO, yes_of(proof), other.digest, other.signed_attrs)
    assert problem.value.code == "approval-of-other"


@pytest.mark.parametrize(
    "flaw", ["no-verification", "other-host", "other-origin", "subdomain-origin", "other-key", "torn"]
)
def test_gestures_that_do_not_count(house: House, phone: Authenticator, flaw: str) -> None:
    begun = begun_for(house)
    said = statement(begun)
    false = replace(phone, count=phone.count + 50)
    if flaw == "no-verification":
        false.verified = False
    if flaw == "other-host":
        false.host = "evil.example"
    if flaw == "other-origin":
        false.origin = "https://evil.example"
    if flaw == "subdomain-origin":
        false.origin = "https://localhost.evil.example"
    if flaw == "other-key":
        false.key = Authenticator().key
    made = false.confirm(challenge_for([said]))
    if flaw == "torn":
        made = replace(made, authenticator_data=made.authenticator_data[:-3])
    (proof,) = approvals([said], made)
    assert refused(house, begun, yes_of(proof)) == "passkey-refused"


def test_an_unknown_passkey_and_a_copied_one(house: House, phone: Authenticator) -> None:
    begun = begun_for(house)
    said = statement(begun)
    stranger = Authenticator()
    (proof,) = approvals([said], stranger.confirm(challenge_for([said])))
    assert refused(house, begun, yes_of(proof)) == "passkey-unknown"
    said = statement(begun)
    phone.count += 1
    (proof,) = approvals([said], phone.confirm(challenge_for([said])))
    house.client.sign_person(WHO, yes_of(proof), begun.digest, begun.signed_attrs)
    copy = replace(phone, count=phone.count - 2)
    said = statement(begun)
    (proof,) = approvals([said], copy.confirm(challenge_for([said])))
    assert refused(house, begun, yes_of(proof)) == "passkey-cloned"


@pytest.mark.parametrize("junk", ["", "{}", "[]", "x" * 20_000, '{"statement": 1}', "{" * 5_000])
def test_a_proof_that_is_none(house: House, phone: Authenticator, junk: str) -> None:
    begun = begun_for(house)
    yes = PersonApproval(secrets.token_hex(16), WHO, begun.digest.hex(), now_us(), "passkey", "sign", junk)
    assert refused(house, begun, yes) == "approval-unreadable"


def test_enrolling_wants_the_officers_code(house: House) -> None:
    """S10: a code is good once, five wrong ones use it up, and a passkey of another site or without a check is none."""
    keys, phone = Keys(house.client), Authenticator()
    with pytest.raises(Refused) as problem:
        keys.enrol_passkey("nobody@x.example", "AAAA-BBBB-CCCC", phone.register(b"x" * 32))
    assert problem.value.code == "enrolment-code"
    word, _ = keys.invite_passkey("a@x.example", "A", "B", OFFICE.name, OFFICE.code, "cb@x.example")
    for _ in range(5):
        with pytest.raises(Refused):
            keys.enrol_passkey("a@x.example", "AAAA-BBBB-CCCC", phone.register(b"x" * 32))
    challenge, _ = keys.passkey_challenge("a@x.example")
    with pytest.raises(Refused) as problem:  # five tries used the code up
        keys.enrol_passkey("a@x.example", word, phone.register(challenge))
    assert problem.value.code == "enrolment-code"
    word, _ = keys.invite_passkey("a@x.example", "A", "B", OFFICE.name, OFFICE.code, "cb@x.example")
    for flawed in (
        Authenticator(verified=False),
        Authenticator(origin="https://evil.example"),
        Authenticator(host="evil.example"),
    ):
        challenge, _ = keys.passkey_challenge("a@x.example")
        with pytest.raises(Refused) as problem:
            keys.enrol_passkey("a@x.example", word, flawed.register(challenge))
        assert problem.value.code == "passkey-not-enrolled"
    challenge, _ = keys.passkey_challenge("a@x.example")
    keys.enrol_passkey("a@x.example", word.lower().replace("-", " "), phone.register(challenge))
    with pytest.raises(Refused):  # a code is good once
        keys.enrol_passkey("a@x.example", word, phone.register(challenge))
    assert [one.credential for one in keys.passkeys("a@x.example")] == [phone.credential]


def test_a_lost_phone_approves_nothing_any_more(house: House) -> None:
    lost = Authenticator()
    enrol(house, lost, "mat@vpubnd.camau.example")
    keys = Keys(house.client)
    (known,) = keys.passkeys("mat@vpubnd.camau.example")
    keys.forget_passkey("mat@vpubnd.camau.example", lost.credential, "cb@x.example")
    assert keys.passkeys("mat@vpubnd.camau.example") == []
    (kept,) = keys.passkeys_ever("mat@vpubnd.camau.example")  # what it approved before stays provable
    assert (kept.certificate, kept.active) == (known.certificate, False)
    revoked = [one for crl in house.directory.crls() for one in crl]
    assert int(known.serial, 16) in {one.serial_number for one in revoked}


def test_a_clerk_seals_with_a_passkey_for_the_own_agency_only(house: House) -> None:
    keys = Keys(house.client)
    keys.agency("H12.77", "Sở Thử", "vt@thu.example", "cb@x.example", approval="passkey")
    clerk, address = Authenticator(), "vanthu@thu.example"
    word, _ = keys.invite_passkey(address, "Văn thư", "Văn thư", "Sở Thử", "H12.77", "cb@x.example")
    challenge, _ = keys.passkey_challenge(address)
    keys.enrol_passkey(address, word, clerk.register(challenge))
    begun = begun_for(house)
    signed = hashlib.sha256(b"signed").hexdigest()

    def seal(code: str, row: str, named: str) -> str:
        said = Statement("seal", address, signed, NOTHING_SHOWN, now_us(), secrets.token_hex(16), row, "t")
        (proof,) = approvals([said], clerk.confirm(challenge_for([said])))
        yes = SealApproval(said.id, address, signed, named, "t", said.at, "passkey", proof.as_json())
        try:
            house.client.seal_agency(code, yes, begun.digest, begun.signed_attrs)
        except Refused as problem:
            return problem.code
        return "sealed"

    assert seal("H12.77", "row-1", "row-1") == "sealed"
    assert seal("H12.77", "row-1", "row-2") == "approval-of-other"
    keys.agency("H12.78", "Sở Khác", "vt@khac.example", "cb@x.example", approval="passkey")
    assert seal("H12.78", "row-3", "row-3") == "passkey-unknown"
    assert seal(HOME.code, "row-4", "row-4") == "approval-mode"


def test_a_file_approval_does_not_use_a_passkeys_key(house: House, phone: Authenticator) -> None:
    begun = begun_for(house)
    yes = PersonApproval(secrets.token_hex(16), WHO, begun.digest.hex(), now_us())
    assert refused(house, begun, yes) == "approval-mode"
    assert house.directory.certificate_of_person(DEPUTY.address) is not None
    assert begin_as_person(house.prepared(), house.directory, WHO, None, PERSON).digest
