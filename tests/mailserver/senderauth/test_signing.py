# SPDX-License-Identifier: AGPL-3.0-or-later
"""DKIM keys and signatures of mail that leaves: our verifier and OpenDKIM agree; keys change with overlap."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from mailserver.dns import Resolver
from mailserver.senderauth import dkim, keys
from mailserver.senderauth.canon import fields_of
from mailserver.senderauth.keys import SigningKey, SigningKeys
from mailserver.senderauth.signing import sign_leaving, signatures
from tests.mailserver.dns.serving import Zone, serving_dns
from tests.mailserver.senderauth.letters import LETTER, record
from tests.mailserver.senderauth.test_dkim import ED, NOW

HOME = "camau.example"
OURS = b"Return-Path: <a@x.example>\r\n" + LETTER.replace(b"dongnai.example", b"vpubnd.camau.example")


def make(database: Database, seal: Seal) -> Zone:
    """A pair that signs, and its records."""
    rows = database.write(lambda conn: keys.make(conn, seal, HOME, NOW * 1_000_000))
    database.write(lambda conn: keys.use(conn, HOME, NOW * 1_000_000))
    return {one.name: [("TXT", one.record)] for one in rows}


def verified(letter: bytes, zone: Zone) -> list[str]:
    fields, start = fields_of(letter)
    with serving_dns(zone) as server:
        resolver = Resolver([server.place], timeout_s=8)
        found = asyncio.run(dkim.verify(resolver, fields, memoryview(letter)[start:], NOW))
    return [f"{one.algorithm} {one.result}" for one in found]


def test_leaving_mail_is_signed_twice_and_verifies(database: Database, seal: Seal) -> None:
    zone = make(database, seal)
    left = sign_leaving(SigningKeys(database, seal), OURS, NOW)
    assert b"Return-Path" not in left
    assert sorted(verified(left, zone)) == ["ed25519-sha256 pass", "rsa-sha256 pass"]
    assert all(len(line) <= 998 for line in left.split(b"\r\n"))


def test_an_added_field_breaks_the_signatures(sqlite_database: Database, seal: Seal) -> None:
    zone = make(sqlite_database, seal)
    left = sign_leaving(SigningKeys(sqlite_database, seal), OURS, NOW)
    for line in (
        b"Subject: khac\r\n",
        b"From: x@y.example\r\n",
        b"Reply-To: x@y.example\r\n",
        b"Content-Type: text/html\r\n",
    ):
        assert {one.split()[1] for one in verified(line + left, zone)} == {"fail"}


def test_mail_of_others_and_damaged_mail_is_left_alone(sqlite_database: Database, seal: Seal) -> None:
    make(sqlite_database, seal)
    signer = SigningKeys(sqlite_database, seal)
    for letter in (LETTER, OURS.replace(b"\r\n", b"\n"), b"", b"From: a@b, c@camau.example\r\n\r\nx"):
        assert sign_leaving(signer, letter, NOW) == letter


def test_keys_change_with_overlap(database: Database, seal: Seal) -> None:
    make(database, seal)
    first = {one.selector for one in database.write(lambda conn: keys.listed(conn, HOME))}
    made = database.write(lambda conn: keys.make(conn, seal, HOME, NOW * 1_000_000))
    assert not first & {one.selector for one in made}
    with pytest.raises(Refused, match="dkim use"):
        database.write(lambda conn: keys.make(conn, seal, HOME, NOW * 1_000_000))
    signing = {one.selector for one in SigningKeys(database, seal).of("a.camau.example")}
    assert signing == first
    after = database.write(lambda conn: keys.use(conn, HOME, NOW * 1_000_000))
    assert {one.selector for one in after if one.state == "retired"} == first
    assert {one.selector for one in SigningKeys(database, seal).of(HOME)} == {one.selector for one in made}
    with pytest.raises(Refused, match="signs mail"):
        database.write(lambda conn: keys.remove(conn, HOME, made[0].selector))
    database.write(lambda conn: keys.remove(conn, HOME, min(first)))


def test_private_keys_lie_sealed(sqlite_database: Database, seal: Seal, tmp_path: Path) -> None:
    make(sqlite_database, seal)
    raw = b"".join(one.read_bytes() for one in tmp_path.glob("congvan.db*"))
    assert b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" not in raw  # rsaEncryption in DER


def test_opendkim_agrees(sqlite_database: Database, seal: Seal, tmp_path: Path) -> None:
    zone = make(sqlite_database, seal)
    only_rsa = [one for one in SigningKeys(sqlite_database, seal).of(HOME) if one.algorithm == "rsa-sha256"]
    body = OURS.partition(b"\r\n")[2]
    fields, start = fields_of(body)
    (tmp_path / "letter").write_bytes(b"".join([*signatures(only_rsa, fields, body[start:], NOW), body]))
    records = tmp_path / "keys.txt"
    records.write_text("".join(f"{name} {rows[0][1]}\n" for name, rows in zone.items()))
    (tmp_path / "conf").write_text(f"TestPublicKeys {records}\nMode v\nSyslog no\n")
    done = subprocess.run(
        ["opendkim", "-x", str(tmp_path / "conf"), "-t", str(tmp_path / "letter"), "-vv"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "succeeded" in said, said


@settings(max_examples=60, deadline=None)
@given(
    body=st.text("\r\n\t ab", max_size=80).map(
        lambda one: one.replace("\r", "").replace("\n", "\r\n").encode()
    )
)
def test_any_body_verifies(body: bytes) -> None:
    class Answers(Resolver):
        async def txt(self, name: str) -> tuple[str, ...]:
            return (record(ED),)

    letter = OURS.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    fields, start = fields_of(letter)
    key = SigningKey(HOME, "s1", "ed25519-sha256", ED)
    (line,) = signatures([key], fields, letter[start:], NOW)
    fields, start = fields_of(line + letter)
    (found,) = asyncio.run(
        dkim.verify(Answers(["127.0.0.1"]), fields, memoryview(line + letter)[start:], NOW)
    )
    assert found.result == "pass"
