# SPDX-License-Identifier: AGPL-3.0-or-later
"""Keys in tokens (PKCS #11, SoftHSM): the signer's own, and persons' with a PIN at each use; pulled and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.refusal import Refused, Unavailable
from exchange.signing.key_client import Keys
from exchange.signing.keys import KeyStore
from exchange.signing.pdf.sign import begin_as_person, finish
from exchange.signing.token import Token
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.subject import subject_of
from tests.exchange.signing.house import LEADER, OFFICE, House, build, pen_stroke, person_approval, running
from tests.exchange.signing.slots import PIN, Slots, softhsm
from tests.exchange.signing.test_key_life import letter_key

PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
SHA256 = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[Slots]:
    with softhsm(tmp_path / "slots") as made:
        yield made


def refused(code: str, act: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as problem:
        act()
    assert problem.value.code == code
    assert problem.value.vi != problem.value.en
    return problem.value


def test_keys_in_a_token_sign_agree_and_never_leave_it(tmp_path: Path, slots: Slots) -> None:
    slots.new("cơ quan")
    house = build(tmp_path / "house")
    held = Token(slots.place("cơ quan"))
    store = KeyStore(house.places.keys, house.places.secret, held)
    name = "agency-sign:H12.50"
    public = store.make(name, "file")
    again, mode = KeyStore(house.places.keys, house.places.secret, held).elliptic(name)
    assert mode == "file"
    public.verify(again.sign(b"abc", SHA256), b"abc", SHA256)
    other = ec.generate_private_key(ec.SECP256R1())
    assert again.exchange(ec.ECDH(), other.public_key()) == other.exchange(ec.ECDH(), public)
    for export in (again.private_numbers, again.private_bytes):
        refused("key-in-token", export)
    refused("token-away", lambda: Token(slots.place("never there")).make("x"))
    held.close()
    # the whole signer over the token: renewed keys are made in it, a document is signed, letters open
    served = House(house.places, house.socket, token=slots.place("cơ quan"))
    with running(served):
        keys = Keys(served.client)
        told = letter_key(served, b"k" * 32)
        keys.agency(OFFICE.code, OFFICE.name, OFFICE.registry, "cb@x.example", renew="both")
        new = letter_key(served, b"n" * 32)
        assert served.client.unwrap(OFFICE.code, "open", **told).key == b"k" * 32  # type: ignore[arg-type]
        assert served.client.unwrap(OFFICE.code, "open", **new).key == b"n" * 32  # type: ignore[arg-type]
        assert judge_pdf(served.issued(), served.anchors()).official
        with pytest.raises(Refused) as stays:
            keys.put_by(OFFICE.code, [("a", other.public_key().public_bytes(*PUBLIC))] * 2, 2, "x@y")
        assert stays.value.code in ("key-in-token", "bad-threshold")


def test_the_wrong_pin_in_the_file_is_tried_once_only(slots: Slots) -> None:
    slots.new("cơ quan")
    held = Token(slots.place("cơ quan"))
    key, _ = held.make("x")
    held.close()
    slots.pin_file.write_text("wrong\n")
    for _ in range(3):
        refused("token-pin-file", lambda: key.sign(b"abc", SHA256))
    slots.pin_file.write_text(f"{PIN}\n")
    key.public_key().verify(key.sign(b"abc", SHA256), b"abc", SHA256)


def test_the_signers_token_is_pulled_and_put_back_without_a_restart(tmp_path: Path, slots: Slots) -> None:
    slots.new("cơ quan")
    house = replace_token(build(tmp_path / "house"), slots, "cơ quan")
    with running(house):
        keys = Keys(house.client)
        keys.agency(OFFICE.code, OFFICE.name, OFFICE.registry, "cb@x.example", renew="sign")
        assert judge_pdf(house.issued(), house.anchors()).official
        listed = len(list(keys.listing()))
        for _ in range(2):
            slots.pull("cơ quan")
            for _ in range(2):
                away = refused("token-away", house.issued)
                assert isinstance(away, Unavailable)
                assert "cắm lại" in away.vi
                assert "plug it in" in away.en
            refused("token-away", house.client.reach_token)
            assert len(list(keys.listing())) == listed, "keys are listed while a token is away"
            slots.put_back("cơ quan")
            assert house.client.reach_token()
            assert judge_pdf(house.issued(), house.anchors()).official


def replace_token(house: House, slots: Slots, label: str = "") -> House:
    return House(house.places, house.socket, token=slots.place(label))


@pytest.fixture
def own(tmp_path: Path, slots: Slots) -> Iterator[House]:
    """A leader whose key lies in a token of his own, beside the signer's."""
    slots.new("lãnh đạo")
    slots.new("cơ quan")
    with running(replace_token(build(tmp_path / "house"), slots, "cơ quan")) as house:
        Keys(house.client).person(
            *(LEADER.address, LEADER.name, LEADER.title, LEADER.agency, "cb@x.example"),
            approval="token",
            renew=True,
            token="lãnh đạo",
            pin=PIN,
        )
        yield house


def signed_with(house: House, pin: str, mode: str = "token") -> bytes:
    data = house.prepared()
    begun = begin_as_person(data, house.directory, LEADER.address, pen_stroke(LEADER.name))
    approval = person_approval(begun.data, mode=mode)
    signed = house.client.sign_person(LEADER.address, approval, begun.digest, begun.signed_attrs, pin)
    return finish(begun, signed.signature, house.client.timestamp)[0]


def test_the_pin_of_ones_own_token_is_the_approval_of_each_use(own: House) -> None:
    certificate = own.directory.certificate_of_person(LEADER.address)
    assert certificate is not None
    assert subject_of(certificate).approval == "token"
    person = signed_with(own, PIN)
    sealed = own.seals(own.with_data(own.numbered(person)), person).data
    verdict = judge_pdf(sealed, own.anchors())
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True)
    for wrong, code in (("", "bad-request"), ("13579", "token-pin-wrong")):
        refused(code, lambda wrong=wrong: signed_with(own, wrong))  # type: ignore[misc]
    for mode in ("file", "passkey"):
        refused("approval-mode", lambda mode=mode: signed_with(own, PIN, mode))  # type: ignore[misc]
    assert signed_with(own, PIN), "the PIN is asked anew each time; the session before it does not count"


def test_three_wrong_pins_and_even_the_right_one_waits(own: House) -> None:
    for _ in range(3):
        refused("token-pin-wrong", lambda: signed_with(own, "13579"))
    refused("token-pin-wait", lambda: signed_with(own, PIN))


def test_a_persons_token_is_pulled_and_put_back(own: House, slots: Slots) -> None:
    signed_with(own, PIN)
    slots.pull("lãnh đạo")
    away = refused("token-away", lambda: signed_with(own, PIN))
    assert isinstance(away, Unavailable)
    assert "lãnh đạo" in away.vi
    Keys(own.client).agency(OFFICE.code, OFFICE.name, OFFICE.registry, "cb@x.example", renew="sign")
    assert own.client.sign_statement(OFFICE.code, "a-label", b"y"), "the signer's own token goes on meanwhile"
    slots.put_back("lãnh đạo")
    assert signed_with(own, PIN)


def test_the_pin_is_written_nowhere(own: House, tmp_path: Path) -> None:
    signed_with(own, PIN)
    for file in (tmp_path / "house").rglob("*"):
        if file.is_file():
            assert PIN.encode() not in file.read_bytes(), file


def test_a_key_of_mode_token_is_made_in_a_token_of_its_own_only(own: House) -> None:
    keys = Keys(own.client)
    told = (LEADER.address, LEADER.name, LEADER.title, LEADER.agency, "cb@x.example")
    refused("bad-request", lambda: keys.person(*told, approval="token", renew=True))
    refused("token-away", lambda: keys.person(*told, approval="token", renew=True, token="?", pin=PIN))
    refused(
        "seal-by-pin",
        lambda: keys.agency(
            OFFICE.code, OFFICE.name, OFFICE.registry, "cb@x.example", approval="token", renew="sign"
        ),
    )
    assert signed_with(own, PIN), "what was refused left the key as it was"
