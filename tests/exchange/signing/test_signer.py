# SPDX-License-Identifier: AGPL-3.0-or-later
"""The signer process: what it refuses, what it remembers, and that it may die at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.signing.key_client import Keys
from exchange.signing.pdf.layout import PERSON
from exchange.signing.pdf.sign import Begun, begin
from exchange.signing.protocol import MAX_FRAME, BadFrame, decode, encode, length_of
from exchange.signing.signer_client import SignerClient
from exchange.signing.statement import statement_bytes, verify_statement
from exchange.signing.uses import Uses
from policy.ledger.checkpoint import Checkpoint, read_signed, sign
from tests.exchange.signing.house import (
    HOME,
    LEADER,
    OFFICE,
    ORIGIN,
    House,
    build,
    person_approval,
    running,
    seal_approval,
)


@pytest.fixture(scope="module")
def begun(house: House) -> Begun:
    """A prepared person's signature."""
    certificate = house.directory.certificate_of_person(LEADER.address)
    assert certificate is not None
    return begin(house.prepared(), PERSON, certificate, [])


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(Refused) as refused:
        call(*arguments)  # type: ignore[operator]
    return refused.value.code


def test_person_signs_what_was_prepared(house: House, begun: Begun) -> None:
    approval = person_approval(b"draft")
    signed = house.client.sign_person(LEADER.address, approval, begun.digest, begun.signed_attrs)
    key = begun.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signed.signature, begun.signed_attrs, ec.ECDSA(hashes.SHA256()))
    assert signed.use.who == LEADER.address
    assert signed.use.purpose == approval.document
    assert signed.use.digest == begun.digest.hex()
    assert signed.use.approval == "file"


def test_an_approval_is_for_one_prepared_file(house: House, begun: Begun) -> None:
    approval = person_approval(b"draft")
    house.client.sign_person(LEADER.address, approval, begun.digest, begun.signed_attrs)
    house.client.sign_person(LEADER.address, approval, begun.digest, begun.signed_attrs)  # repeated: the same
    other = begin(house.prepared(), PERSON, begun.certificate, [])
    said = code_of(house.client.sign_person, LEADER.address, approval, other.digest, other.signed_attrs)
    assert said == "approval-used"


@pytest.mark.parametrize("seconds", [-301, 60])
def test_an_approval_lives_five_minutes(house: House, begun: Begun, seconds: int) -> None:
    approval = person_approval(b"draft", at=now_us() + seconds * 1_000_000)
    said = code_of(house.client.sign_person, LEADER.address, approval, begun.digest, begun.signed_attrs)
    assert said == "approval-expired"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mode": "passkey"}, "approval-mode"),
        ({"by": "ai-do@vpubnd.camau.example"}, "approval-incomplete"),
        ({"document": "abc"}, "approval-incomplete"),
        ({"id": ""}, "approval-expired"),
    ],
)
def test_approvals_that_do_not_fit(house: House, begun: Begun, changes: dict[str, str], code: str) -> None:
    approval = replace(person_approval(b"draft"), **changes)  # type: ignore[arg-type]
    said = code_of(house.client.sign_person, LEADER.address, approval, begun.digest, begun.signed_attrs)
    assert said == code


def test_a_key_for_passkeys_is_not_used_on_a_file(house: House, begun: Begun) -> None:
    house.store.add("person:passkey@x.example", ec.generate_private_key(ec.SECP256R1()), "passkey")
    approval = person_approval(b"draft", by="passkey@x.example")
    for one, code in (
        (approval, "approval-mode"),
        (replace(approval, mode="passkey"), "approval-unreadable"),
    ):
        said = code_of(house.client.sign_person, "passkey@x.example", one, begun.digest, begun.signed_attrs)
        assert said == code


def test_signed_attributes_must_belong_to_the_digest(house: House, begun: Begun) -> None:
    said = code_of(
        house.client.sign_person, LEADER.address, person_approval(b"d"), bytes(32), begun.signed_attrs
    )
    assert said == "digest-mismatch"
    said = code_of(house.client.sign_person, LEADER.address, person_approval(b"d"), begun.digest, b"\x31\x00")
    assert said == "digest-mismatch"
    said = code_of(house.client.sign_person, LEADER.address, person_approval(b"d"), begun.digest, b"junk")
    assert said == "attributes-malformed"


def test_unknown_keys_are_named(house: House, begun: Begun) -> None:
    approval = person_approval(b"d", by="x@y.example")
    said = code_of(house.client.sign_person, "x@y.example", approval, begun.digest, begun.signed_attrs)
    assert said == "no-such-key"


def test_a_row_is_sealed_once(house: House, begun: Begun) -> None:
    first = seal_approval(b"signed file")
    house.client.seal_agency(OFFICE.code, first, begun.digest, begun.signed_attrs)
    # after a crash: prepared anew, approved anew, the same person-signed file
    other = begin(house.prepared(), PERSON, begun.certificate, [])
    again = seal_approval(b"signed file", register_row=first.register_row)
    house.client.seal_agency(OFFICE.code, again, other.digest, other.signed_attrs)
    another = seal_approval(b"another file", register_row=first.register_row)
    said = code_of(house.client.seal_agency, OFFICE.code, another, other.digest, other.signed_attrs)
    assert said == "row-already-sealed"
    # the row of another agency is another row
    house.client.seal_agency(HOME.code, another, other.digest, other.signed_attrs)


def test_a_packet_can_not_be_a_pdf(house: House, begun: Begun) -> None:
    assert code_of(house.client.sign_packet, OFFICE.code, begun.signed_attrs) == "attributes-not-fit"
    attributes = cms.CMSAttributes.load(begun.signed_attrs)
    attributes.append(
        cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": "261124000000Z"})]})
    )
    packet = attributes.dump(force=True)
    assert house.client.sign_packet(OFFICE.code, packet).signature
    said = code_of(house.client.sign_person, LEADER.address, person_approval(b"d"), begun.digest, packet)
    assert said == "attributes-not-fit"


def test_xml_signs_signed_info_only(house: House) -> None:
    info = b'<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:SignedInfo>'
    certificate = house.directory.signing_certificate_of_agency(OFFICE.code)
    assert certificate is not None
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(house.client.sign_xml(OFFICE.code, info).signature, info, ec.ECDSA(hashes.SHA256()))
    for other in (b"", b"<x/>", b"<SignedInfoX/>", b"\x31\x20", info + b" " * 20_000):
        assert code_of(house.client.sign_xml, OFFICE.code, other) in ("not-signed-info", "bad-request")


def test_statements_carry_their_label(house: House) -> None:
    signed = house.client.sign_statement(OFFICE.code, "receipt-act", b"{}")
    certificate = house.directory.signing_certificate_of_agency(OFFICE.code)
    assert certificate is not None
    assert verify_statement(certificate, "receipt-act", b"{}", signed.signature)
    assert not verify_statement(certificate, "other-act", b"{}", signed.signature)
    assert code_of(house.client.sign_statement, OFFICE.code, "BAD LABEL", b"{}") == "bad-request"
    with pytest.raises(Refused):
        statement_bytes("x", b"")


def test_checkpoints_of_our_ledger_only(house: House) -> None:
    keys = house.directory.ledger_keys()
    assert keys is not None
    key = keys.present
    note = sign(Checkpoint(ORIGIN, 12, hashlib.sha256(b"root").digest()), key, house.client.checkpoint)
    assert read_signed(note, key).size == 12
    for body in (b"", b"other.example/ledger\n1\n" + b"A" * 43 + b"=\n", note, b"x" * 9000):
        assert code_of(house.client.checkpoint, body) == "not-our-checkpoint"


def test_unwrap_gives_the_key_of_one_content(house: House) -> None:
    certificate = house.directory.encryption_certificate_of_agency(OFFICE.code)
    assert certificate is not None
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    ours = ec.generate_private_key(ec.SECP256R1())
    secret = ours.exchange(ec.ECDH(), public)
    wrapping = X963KDF(hashes.SHA256(), 32, b"info").derive(secret)
    content = os.urandom(32)
    values = {
        "originator": ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        "shared_info": b"info",
        "wrapped": keywrap.aes_key_wrap(wrapping, content),
    }
    opened = house.client.unwrap(OFFICE.code, "receive", **values)  # type: ignore[arg-type]
    assert opened.key == content
    assert (opened.use.purpose, opened.use.key) == ("receive", "agency-decrypt:H12.01")
    with pytest.raises(Refused) as refused:
        house.client.unwrap(HOME.code, "open", who="a@b.example", **values)  # type: ignore[arg-type]
    assert refused.value.code == "does-not-open"
    with pytest.raises(Refused) as refused:
        house.client.unwrap(OFFICE.code, "curiosity", **values)  # type: ignore[arg-type]
    assert refused.value.code == "bad-request"
    with pytest.raises(Refused) as refused:
        house.client.unwrap(OFFICE.code, "open", **{**values, "originator": b"\x04" + bytes(64)})  # type: ignore[arg-type]
    assert refused.value.code == "does-not-open"


def test_document_keys_open_for_their_agency_only(house: House) -> None:
    key, wrapped = house.client.wrap_document_key(OFFICE.code)
    assert key not in wrapped
    opened = house.client.unwrap_document_key(OFFICE.code, wrapped, "open", "ai@vpubnd.camau.example")
    assert opened.key == key
    assert opened.use.who == "ai@vpubnd.camau.example"
    said = code_of(house.client.unwrap_document_key, HOME.code, wrapped, "open", "x@y.example")
    assert said == "wrapped-key-broken"
    said = code_of(house.client.unwrap_document_key, OFFICE.code, b"x", "open", "x@y.example")
    assert said == "wrapped-key-broken"


def test_new_agencies_and_people_and_revocation(house: House) -> None:
    keys = Keys(house.client)
    keys.agency("H12.99", "Sở Thử nghiệm", "vanthu@thu.camau.example", "can-bo@x.example")
    keys.person("a@thu.camau.example", "Người ký", "Giám đốc", "Sở Thử nghiệm", "can-bo@x.example")
    certificate = house.directory.certificate_of_person("a@thu.camau.example")
    assert certificate is not None
    assert house.directory.encryption_certificate_of_agency("H12.99") is not None
    said = code_of(keys.person, "a@thu.camau.example", "Người ký", "Giám đốc", "Sở Thử nghiệm", "x@y")
    assert said == "key-exists"
    house.client.revoke(certificate.serial_number, "keyCompromise", "can-bo@x.example")
    lists = [
        one.get_revoked_certificate_by_serial_number(certificate.serial_number)
        for one in house.directory.crls()
    ]
    assert [one for one in lists if one is not None]
    assert code_of(house.client.revoke, 1, "boredom", "x@y.example") == "bad-reason"
    assert house.client.renew_crls() == []  # both are fresh


def test_what_is_not_an_operation(house: House) -> None:
    for name in ("", "close", "op_crl", "__init__", "_timestamps", "sign"):
        with pytest.raises(Refused) as refused:
            house.client.ask(name)
        assert refused.value.code == "no-such-operation"
    with pytest.raises(Refused) as refused:
        house.client.ask("sign_person", address=LEADER.address, approval={"nonsense": 1})
    assert refused.value.code == "bad-request"


def test_bad_frames_end_the_connection(house: House) -> None:
    for frame in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x03abc"):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(house.socket))
            link.sendall(frame)
            assert link.recv(1) == b""
    assert house.client.status()["origin"] == ORIGIN


def test_many_threads_share_a_client(house: House) -> None:
    with ThreadPoolExecutor(16) as pool:
        tokens = list(
            pool.map(lambda n: house.client.timestamp(hashlib.sha256(b"%d" % n).digest()), range(64))
        )
    assert len(set(tokens)) == 64


def test_the_socket_is_for_its_owner(house: House) -> None:
    assert house.socket.stat().st_mode & 0o777 == 0o600
    assert house.places.secret.stat().st_mode & 0o777 == 0o600
    assert all(one.stat().st_mode & 0o077 == 0 for one in house.places.keys.glob("*.key"))


def test_a_key_has_a_rate(tmp_path: Path) -> None:
    house = build(tmp_path)
    house.rate_factor = 0.02  # two person signatures at once
    with running(house):
        certificate = house.directory.certificate_of_person(LEADER.address)
        assert certificate is not None
        begun = begin(house.prepared(), PERSON, certificate, [])
        for _ in range(4):
            house.client.sign_person(LEADER.address, person_approval(b"d"), begun.digest, begun.signed_attrs)
        with pytest.raises(Unavailable) as refused:
            house.client.sign_person(LEADER.address, person_approval(b"d"), begun.digest, begun.signed_attrs)
        assert refused.value.code == "signer-busy"


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        SignerClient(tmp_path / "none.sock").status()
    assert refused.value.code == "signer-unavailable"


def test_somebody_who_never_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            SignerClient(tmp_path / "mute.sock", timeout=0.2).status()
        assert time.monotonic() - began < 3


def test_killed_and_started_again_it_remembers(tmp_path: Path) -> None:
    house = build(tmp_path)
    program = (
        "import asyncio,sys;from pathlib import Path;"
        "from exchange.signing.signer import SignerSettings,serve;"
        "asyncio.run(serve(SignerSettings(*map(Path,sys.argv[1:5]),sys.argv[5])))"
    )
    places = house.places
    words = [str(one) for one in (house.socket, places.keys, places.secret, places.trust)]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", program, *words, ORIGIN])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                house.client.status()
                return process
            except Unavailable:
                threading.Event().wait(0.02)
        raise AssertionError("the signer did not start")

    process = start()
    certificate = house.directory.certificate_of_person(LEADER.address)
    assert certificate is not None
    begun = begin(house.prepared(), PERSON, certificate, [])
    approval = seal_approval(b"file")
    house.client.seal_agency(OFFICE.code, approval, begun.digest, begun.signed_attrs)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(Unavailable):
        house.client.status()
    with (places.keys / "uses.log").open("ab") as log:
        log.write(b'{"op": "sign_pers')  # torn by the crash
    process = start()
    try:
        other = seal_approval(b"another", register_row=approval.register_row)
        said = code_of(house.client.seal_agency, OFFICE.code, other, begun.digest, begun.signed_attrs)
        assert said == "row-already-sealed"
        house.client.seal_agency(OFFICE.code, approval, begun.digest, begun.signed_attrs)
        used = replace(approval, register_row="another row")
        second = begin(house.prepared(), PERSON, certificate, [])
        said = code_of(house.client.seal_agency, OFFICE.code, used, second.digest, second.signed_attrs)
        assert said == "approval-used"
    finally:
        process.kill()
        process.wait()


def test_an_altered_log_stops_the_signer(tmp_path: Path) -> None:
    uses = Uses(tmp_path / "uses.log")
    for number in range(3):
        uses.record("sign_packet", "agency-sign:H12.01", digest=f"{number}")
    uses.close()
    lines = (tmp_path / "uses.log").read_bytes().splitlines(keepends=True)
    assert json.loads(lines[1])["before"] == hashlib.sha256(lines[0]).hexdigest()
    (tmp_path / "uses.log").write_bytes(lines[0] + lines[2])
    assert code_of(Uses, tmp_path / "uses.log") == "signer-log-altered"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=40) | st.integers() | st.text(max_size=20)))
def test_frames_come_back_as_they_went(value: dict[str, object]) -> None:
    frame = encode(value)
    assert length_of(frame[:4]) == len(frame) - 4
    assert decode(frame[4:]) == value


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_frame_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadFrame):
        assert isinstance(decode(body), dict)
    with pytest.raises(BadFrame):
        length_of((MAX_FRAME + 1).to_bytes(4, "big"))
