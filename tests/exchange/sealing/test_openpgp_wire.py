# SPDX-License-Identifier: AGPL-3.0-or-later
"""OpenPGP in octets: what we write gpg takes, what comes in is read or refused, whatever it is."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from hypothesis import given, settings
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.sealing import openpgp_wire as wire
from exchange.sealing.openpgp_form import read_contents, read_openpgp_mail, read_payload
from exchange.sealing.packet_form import Envelope
from tests.exchange.sealing.pgp import gpg, gpg_home

KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
NOW = int(time.time())
PRIMARY = wire.PublicKey.of(KEYS[0].public_key(), NOW, signs=True)
SUBKEY = wire.PublicKey.of(KEYS[1].public_key(), NOW, signs=False)
HEAD = b"Content-Type: multipart/encrypted; boundary=y\r\n\r\n--y\r\n\r\n--y\r\n\r\n"


def _sign(digest: bytes) -> bytes:
    return KEYS[0].sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))


CERTIFICATE = wire.certificate(PRIMARY, SUBKEY, "Cơ quan <a@a.example>", _sign)


def test_gpg_takes_the_certificate_and_a_signature() -> None:
    """Both self-signatures stand (an encryption key without one would not be used), and one over octets."""
    assert wire.read_certificate(CERTIFICATE) == (PRIMARY, SUBKEY)
    with gpg_home() as home:
        assert (
            b"IMPORT_OK 1 " + PRIMARY.fingerprint.hex().upper().encode()
            in gpg(home, "--import", data=CERTIFICATE).stderr
        )
        (home / "s").write_bytes(wire.detached(b"\x00content\r\n", PRIMARY, NOW, _sign))
        (home / "c").write_bytes(b"\x00content\r\n")
        assert b"GOODSIG" in gpg(home, "--verify", str(home / "s"), str(home / "c")).stderr
        sealed = gpg(home, "-e", "-r", PRIMARY.fingerprint.hex(), data=b"x").stdout
    (one,) = wire.session_keys(sealed)
    assert one.key_id == SUBKEY.fingerprint[-8:]
    for end in range(len(sealed) - 20):
        with suppress(Refused):
            assert wire.session_keys(sealed[:end]) == [one]
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), one.originator)
    shared = KEYS[1].exchange(ec.ECDH(), point)
    assert len(wire.unwrapped(shared, wire.agreement(SUBKEY), one.wrapped)) in (17, 33)
    for wrong in (b"\x00" * 32, shared[:-1] + b"\x00"):
        with pytest.raises(Refused):
            wire.unwrapped(wrong, wire.agreement(SUBKEY), one.wrapped)


def test_a_certificate_cut_or_altered_is_not_taken() -> None:
    octets = wire.dearmour(CERTIFICATE)
    for at in range(0, len(octets), 7):
        altered = octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]
        with suppress(Refused):
            assert wire.read_certificate(wire.armour("PUBLIC KEY BLOCK", altered))


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\x84\x5e\x03", b"\xc1\x5e\x03", b"\x99\x00", b"\xd2\xff"]),
)
def test_any_octets(data: bytes, head: bytes) -> None:
    """Only a refusal is raised, by every reader."""
    outside = Envelope("a@a.example", ("b@b.example",), "", "<1@a>")
    armoured = wire.armour("MESSAGE", head + data)
    for read in (
        lambda: wire.session_keys(head + data),
        lambda: wire.dearmour(data),
        lambda: wire.read_certificate(armoured),
        lambda: wire.read_certificate(data),
        lambda: read_openpgp_mail(data),
        lambda: read_openpgp_mail(HEAD + data + b"\r\n--y--"),
        lambda: read_payload(b"Content-Type: multipart/signed; boundary=y\r\n\r\n" + data),
        lambda: read_contents(b"Content-Type: multipart/mixed; boundary=y\r\n\r\n" + data, outside),
        lambda: read_contents(data, outside),
    ):
        with suppress(Refused):
            read()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_any_damage_to_a_signed_part(place: int, junk: bytes) -> None:
    part = (
        b"From: a@a.example\r\nTo: b@b.example\r\nMessage-ID: <1@a>\r\n"
        b'Content-Type: multipart/mixed; boundary="y"\r\n\r\n--y\r\n'
        b'Content-Type: application/xml; name="a.edxml"; charset=x\r\nContent-Transfer-Encoding: base64\r\n'
        b"Content-Disposition: attachment; filename*=utf-8''a.edxml\r\n\r\nPGE+PC9hPg==\r\n--y--\r\n"
    )
    outside = Envelope("a@a.example", ("b@b.example",), "", "<1@a>")
    assert read_contents(part, outside).edxml == b"<a></a>"
    with suppress(Refused):
        read_contents(part[:place] + junk + part[place + len(junk) :], outside)
