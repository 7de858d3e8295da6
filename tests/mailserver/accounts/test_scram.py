# SPDX-License-Identifier: AGPL-3.0-or-later
"""SCRAM-SHA-256 (RFC 5802 §5, RFC 7677 §3): a client written from the RFC signs in; wrong ones do not."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from config.refusal import Refused
from mailserver.accounts import devices, passwords, scram
from mailserver.accounts.changes import add_credential
from tests.conftest import PASSWORD, Province


def client(
    challenge: scram.Challenge, bare: bytes, password: str, *, nonce: bytes = b""
) -> tuple[bytes, bytes]:
    """(the client's final message, the signature it expects of the server), as RFC 5802 §3 computes them."""
    fields = dict(one.split(b"=", 1) for one in challenge.first.split(b","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"])
    )
    key = hmac.digest(salted, b"Client Key", "sha256")
    without = b"c=" + base64.b64encode(b"n,,") + b",r=" + (nonce or fields[b"r"])
    said = b",".join((bare, challenge.first, without))
    signature = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
    return without + b",p=" + base64.b64encode(proof), b"v=" + base64.b64encode(expected)


def test_the_exchange_of_rfc_5802(small_province: Province) -> None:
    name = next(one for one in small_province.people.values() if one.role != "registry").address
    bare = b"n=%b,r=fyko+d2lbbFgONRv9qkxdawL" % name.encode()
    accounts = small_province.accounts
    challenge = scram.Challenge.of(b"n,," + bare, accounts.scram_salt)
    final, expected = client(challenge, bare, PASSWORD)
    account, answer = small_province.accounts.authenticate_scram(
        "imap", challenge.name, "192.0.2.1", challenge.proof(final)
    )
    assert account.address == name
    assert answer == expected
    wrong, _ = client(challenge, bare, PASSWORD + "x")
    with pytest.raises(Refused, match="Wrong address or password"):
        small_province.accounts.authenticate_scram("imap", name, "192.0.2.1", challenge.proof(wrong))
    with pytest.raises(Refused, match="Wrong address or password"):
        small_province.accounts.authenticate_scram("imap", "x@y.example", "192.0.2.2", challenge.proof(final))


def test_a_password_kept_without_keys_gets_them_when_it_is_used_in_plain(small_province: Province) -> None:
    who = next(one for one in small_province.people.values() if one.role != "registry")
    accounts, old = small_province.accounts, "kept before there was SCRAM"
    kept = passwords.keep(passwords.APP, old)
    small_province.database.write(
        lambda conn: add_credential(conn, small_province.seal, who.ref, passwords.APP, kept, "")
    )
    bare = b"n=%b,r=fyko+d2lbbFgONRv9qkxdawL" % who.address.encode()
    challenge = scram.Challenge.of(b"n,," + bare, accounts.scram_salt)
    proof = challenge.proof(client(challenge, bare, old)[0])
    with pytest.raises(Refused, match="Wrong address or password"):
        accounts.authenticate_scram("imap", challenge.name, "192.0.2.1", proof)
    accounts.authenticate("imap", who.address, old, "192.0.2.1")
    small_province.database.write(accounts.uses.write)
    assert accounts.authenticate("imap", who.address, old, "192.0.2.1") == who
    assert accounts.authenticate_scram("imap", challenge.name, "192.0.2.1", proof)[0] == who
    assert not accounts.uses._renewed


def test_each_name_has_its_own_salt_and_an_unknown_one_has_one_too(small_province: Province) -> None:
    known = next(iter(small_province.people)).encode()
    salts = set()
    for name in (known, known.upper(), b"c@d.example", b"C@D.example", b"not an address", b"d@d.example"):
        first = scram.Challenge.of(b"n,,n=%b,r=12345678" % name, small_province.accounts.scram_salt).first
        _, salt, iterations = first.split(b",", 2)
        assert len(base64.b64decode(salt[2:])) == 16
        assert iterations == b"i=4096"
        salts.add(salt)
    assert len(salts) == 4


def test_a_new_device_signs_in_by_scram_at_once(small_province: Province) -> None:
    who = next(one for one in small_province.people.values() if one.role != "registry")
    _, password = small_province.database.write(
        lambda conn: devices.add(conn, small_province.seal, who, "Điện thoại", who.address)
    )
    bare = b"n=%b,r=fyko+d2lbbFgONRv9qkxdawL" % who.address.upper().encode()
    challenge = scram.Challenge.of(b"n,," + bare, small_province.accounts.scram_salt)
    final, expected = client(challenge, bare, password)
    account, answer = small_province.accounts.authenticate_scram(
        "imap", challenge.name, "192.0.2.1", challenge.proof(final)
    )
    assert (account, answer) == (who, expected)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"p=tls-unique,,n=a,r=12345678",
        b"n,a=other,n=me,r=12345678",
        b"n,,n=,r=12345678",
        b"n,,r=12345678,n=a",
        b"n,,n=a,r=1",
        b"n,,n=\xff,r=12345678",
        b"n,,n=a",
    ],
)
def test_first_messages_that_are_refused(message: bytes) -> None:
    with pytest.raises(scram.Malformed):
        scram.Challenge.of(message, lambda name: bytes(16))


def test_final_messages_that_are_refused() -> None:
    bare = b"n=a,r=12345678"
    challenge = scram.Challenge.of(b"n,," + bare, lambda name: bytes(16))
    good, _ = client(challenge, bare, "x")
    replayed, _ = client(challenge, bare, "x", nonce=b"12345678other")
    for message in (b"", b"p=", good[:-4], good.replace(b"c=biws", b"c=eSws"), replayed, good + b"!"):
        with pytest.raises(scram.Malformed):
            challenge.proof(message)
