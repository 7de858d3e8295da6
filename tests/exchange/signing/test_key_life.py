# SPDX-License-Identifier: AGPL-3.0-or-later
"""The life of keys: thousands of them, in a token, renewed, compromised, put by and recovered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from hypothesis import given, settings
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.signing.key_client import Keys
from exchange.signing.keys import KeyStore, key_mark, make_secret
from exchange.signing.recovery import Share, join, open_with, put_by, share_of, split
from exchange.trust.pdf_judge import judge_pdf
from tests.exchange.signing.house import LEADER, OFFICE, House, build, running

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def own_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A province whose keys come and go."""
    with running(build(tmp_path_factory.mktemp("k"))) as made:
        yield made


def letter_key(house: House, content: bytes) -> dict[str, object]:
    """What a letter to the agency's present certificate carries, and the key's mark."""
    certificate = house.directory.encryption_certificate_of_agency(OFFICE.code)
    assert certificate is not None
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    once = ec.generate_private_key(ec.SECP256R1())
    wrapping = X963KDF(hashes.SHA256(), 32, b"info").derive(once.exchange(ec.ECDH(), public))
    point = once.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return {
        "originator": point,
        "shared_info": b"info",
        "wrapped": keywrap.aes_key_wrap(wrapping, content),
        "key": key_mark(public),
    }


def test_five_renewals_later_the_first_letter_still_opens(own_house: House) -> None:
    house, keys = own_house, Keys(own_house.client)
    letters = []
    for number in range(6):
        letters.append(letter_key(house, bytes([number]) * 32))
        if number < 5:
            _, old = keys.agency(OFFICE.code, OFFICE.name, OFFICE.registry, "cb@x.example", renew="both")
            assert len(old) == 2
    for number, told in enumerate(letters):
        assert house.client.unwrap(OFFICE.code, "open", **told).key == bytes([number]) * 32  # type: ignore[arg-type]
    assert len(house.directory.encryption_certificates_of_agency(OFFICE.code)) == 6
    assert judge_pdf(house.issued(), house.anchors()).official
    with pytest.raises(Refused):
        house.client.unwrap(OFFICE.code, "open", **{**letters[0], "key": "0" * 16})  # type: ignore[arg-type]


def test_what_was_signed_before_a_compromise_stays_good_and_the_old_key_is_gone(own_house: House) -> None:
    house, keys = own_house, Keys(own_house.client)
    before = house.issued()
    second = int(time.time())
    while int(time.time()) == second:  # a revocation's time has whole seconds (RFC 5280 §4.1.2.5)
        time.sleep(0.05)
    _, old = keys.person(LEADER.address, LEADER.name, LEADER.title, LEADER.agency, "cb@x.example", renew=True)
    for serial in old:
        house.client.revoke(serial, "keyCompromise", "cb@x.example")
    assert judge_pdf(before, house.anchors(crls=True), require_revocation=True).verdict == "TOTAL-PASSED"
    assert judge_pdf(house.issued(), house.anchors(crls=True)).official
    assert old[0] in {one.serial_number for crl in house.directory.crls() for one in crl}


def test_many_keys_are_listed_used_and_renewed_in_bounded_time(tmp_path: Path) -> None:
    """200 here; `make bench-signing` does it with 2,000 and says the figures."""
    make_secret(tmp_path / "secret")
    store = KeyStore(tmp_path / "keys", tmp_path / "secret")
    for number in range(200):
        store.add(f"person:a{number}@x.example", ec.generate_private_key(ec.SECP256R1()), "file")
    fresh = KeyStore(tmp_path / "keys", tmp_path / "secret")
    spent: dict[str, float] = {}

    def measured(name: str, work: object) -> None:
        start = time.process_time()
        work()  # type: ignore[operator]
        spent[name] = time.process_time() - start

    measured("list", lambda: fresh.names())
    assert len(fresh.names()) == 200
    digest = ec.ECDSA(hashes.SHA256())
    measured(
        "use", lambda: [fresh.elliptic(f"person:a{n}@x.example")[0].sign(b"x", digest) for n in range(200)]
    )
    measured(
        "renew", lambda: [fresh.make(f"person:a{n}@x.example", "file", replacing=True) for n in range(200)]
    )
    assert spent["list"] < 0.5
    assert spent["use"] < 2
    assert spent["renew"] < 3


def test_two_of_three_officers_and_nobody_alone_get_the_key_back(tmp_path: Path) -> None:
    with running(build(tmp_path / "house")) as house:
        keys = Keys(house.client)
        told = letter_key(house, b"k" * 32)
        keys.agency(OFFICE.code, OFFICE.name, OFFICE.registry, "cb@x.example", renew="decrypt")
        officers = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
        people = [(f"CB {n}", one.public_key().public_bytes(*PUBLIC)) for n, one in enumerate(officers)]
        file, _ = keys.put_by(OFFICE.code, people, 2, "cb@x.example")
        shares = [share_of(file, one).as_text() for one in officers]
        for path in house.places.keys.glob("agency-decrypt*H12.01*"):
            path.unlink()
    with running(House(house.places, house.socket)) as later:
        keys = Keys(later.client)
        with pytest.raises(Refused):
            later.client.unwrap(OFFICE.code, "open", **told)  # type: ignore[arg-type]
        for too_few in ([shares[0]], [shares[1], shares[1]]):
            with pytest.raises(Refused) as problem:
                keys.recover(file, too_few, "cb@x.example")
            assert problem.value.code == "too-few-shares"
        restored, _ = keys.recover(file, [shares[2], shares[0]], "cb@x.example")
        assert len(restored) == 2
        assert later.client.unwrap(OFFICE.code, "open", **told).key == b"k" * 32  # type: ignore[arg-type]
        assert keys.recover(file, shares, "cb@x.example")[0] == []


@given(st.binary(min_size=32, max_size=32), st.integers(2, 6), st.integers(0, 4), st.randoms())
@settings(max_examples=40, deadline=None)
def test_any_m_shares_give_the_secret_and_fewer_do_not(
    secret: bytes, m: int, more: int, random: object
) -> None:
    shares = split(secret, m, m + more)
    random.shuffle(shares)  # type: ignore[attr-defined]
    assert join(shares[:m]) == secret
    assert join(shares[: m - 1]) != secret
    assert Share.read(shares[0].as_text()) == shares[0]


def test_recovery_files_and_shares_that_were_altered() -> None:
    officers = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    people = [(str(n), one.public_key()) for n, one in enumerate(officers)]
    file = put_by("H12.01", {"agency-decrypt:H12.01": b"key"}, people, 2)
    shares = [share_of(file, one) for one in officers]
    assert open_with(file, shares[1:])[1] == {"agency-decrypt:H12.01": b"key"}
    with pytest.raises(Refused) as problem:
        open_with(file, [shares[0], replace(shares[1], value=bytes(66))])
    assert problem.value.code == "bad-share"
    with pytest.raises(Refused) as problem:
        share_of(file, ec.generate_private_key(ec.SECP256R1()))
    assert problem.value.code == "not-an-officer"
    for junk in (b"", b"{}", b"[]", file.replace(b'"threshold": 2', b'"threshold": 1'), b"{" * 9999):
        with pytest.raises(Refused) as problem:
            open_with(junk, shares)
        assert problem.value.code == "bad-recovery-file"
    for text in ("", "1", "1-zz-1", shares[0].as_text()[:-1] + "x", "99-" + "00" * 66 + "-00000000"):
        with pytest.raises(Refused):
            Share.read(text)
    for threshold, some in ((1, people), (4, people), (2, [people[0], people[0]])):
        with pytest.raises(Refused):
            put_by("H12.01", {}, some, threshold)
