# SPDX-License-Identifier: AGPL-3.0-or-later
"""The packet mail: openssl opens it, one changed byte anywhere is seen."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.edxml.write import write
from exchange.sealing import packet_form
from exchange.sealing.packet import Built, build_packet, open_packet, packet_digest
from exchange.sealing.packet_form import PacketBroken
from exchange.sealing.recipients import CannotOpen
from tests.exchange.edxml.samples import document
from tests.exchange.sealing.province import Province, run

EDXML = write(document(b"%PDF-1.7 " + b"secret words " * 50))


@pytest.fixture(scope="module")
def built(province: Province) -> Built:
    return build_packet(
        EDXML,
        province.a.sender,
        [(province.b.address, province.b.encryption)],
        receipts=[("01-H12.01-7.receipt.json", b"{}\n")],
        also_for=[province.a.encryption],
    )


def test_open(province: Province, built: Built) -> None:
    opened = open_packet(built.mail, [province.b.opener], province.judging)
    assert opened.edxml == EDXML
    assert opened.receipts == (("01-H12.01-7.receipt.json", b"{}\n"),)
    assert opened.signature.outcome == "TOTAL-PASSED"
    assert opened.signer == province.a.chain[0]
    assert opened.digest == built.digest == packet_digest(built.mail)
    assert opened.content_key == built.content_key
    assert opened.envelope.recipients == (province.b.address,)
    assert open_packet(built.mail, [province.a.opener], province.judging).edxml == EDXML


def test_the_outside_tells_nothing(built: Built) -> None:
    for word in (b"secret", b"TB-VP", "thử".encode(), b"H12.01", b"receipt"):
        assert word not in built.mail
    assert b"Congvan-Packet: 1\r\n" in built.mail
    assert b"smime-type=authEnveloped-data" in built.mail
    assert max(len(line) for line in built.mail.split(b"\r\n")) <= 100


def test_openssl_opens_the_mail(province: Province, built: Built, folder: Path) -> None:
    (folder / "p.eml").write_bytes(built.mail)
    assert (
        run(
            folder, *["openssl", "cms", "-decrypt", "-in", "p.eml", "-recip", "b.pem", "-out", "inner"]
        ).returncode
        == 0
    )
    verified = run(
        folder, *["openssl", "cms", "-verify", "-in", "inner", "-CAfile", "ca.pem", "-out", "content"]
    )
    assert verified.returncode == 0, verified.stderr
    content = (folder / "content").read_bytes()
    assert b'Content-Type: application/xml; name="document.edxml"' in content
    only_key = run(
        folder, *["openssl", "cms", "-decrypt", "-in", "p.eml", "-inkey", "a.pem", "-out", "inner"]
    )
    assert only_key.returncode == 0


def test_trace_headers_and_line_ends(province: Province, built: Built) -> None:
    travelled = b"Return-Path: <x@y>\r\nReceived: from a\r\n\tby b;\r\n Mon\r\nX-Spam: no\r\n" + built.mail
    assert open_packet(travelled, [province.b.opener], province.judging).digest == built.digest
    unix = built.mail.replace(b"\r\n", b"\n")
    assert open_packet(unix, [province.b.opener], province.judging).digest == built.digest


def test_every_changed_byte_is_seen(province: Province, built: Built) -> None:
    mail = built.mail
    head = mail.index(b"\r\n\r\n") + 4
    places = [
        *range(head + 1500),
        *range(head + 1500, len(mail) - 200, 53),
        *range(len(mail) - 200, len(mail)),
    ]
    opener = [province.b.opener]
    for place in places:
        altered = bytearray(mail)
        altered[place] ^= 0x01
        with pytest.raises(Refused):
            open_packet(bytes(altered), opener, province.judging)


def test_added_bytes_are_seen(province: Province, built: Built) -> None:
    for altered in (built.mail + b"\r\n", built.mail + b"QUJD\r\n", b"Subject: x\r\n" + built.mail):
        with pytest.raises(PacketBroken):
            open_packet(altered, [province.b.opener], province.judging)


def test_recipients_cannot_be_swapped(province: Province, built: Built) -> None:
    """Whoever opened it cannot pass the signed content on as if it had been sealed for someone else."""
    from exchange.sealing import packet_form as form
    from exchange.sealing.enveloped import decrypt, encrypt
    from exchange.sealing.recipients import recipient_infos

    envelope, sealed = form.read_mail(built.mail)
    inner = decrypt(sealed, [province.b.opener]).content
    third = province.agency("H12.12", "vt@c.example")
    forwarded = encrypt(inner, recipient_infos([third.encryption], b"k" * 32), b"k" * 32)
    with pytest.raises(PacketBroken, match="recipients"):
        open_packet(form.write_mail(envelope, forwarded), [third.opener], province.judging)


def test_strangers_and_strange_names(province: Province, built: Built) -> None:
    with pytest.raises(CannotOpen):
        open_packet(built.mail, [province.agency("H12.98", "x@x.example").opener], province.judging)
    to = [(province.b.address, province.b.encryption)]
    for name in ('a".edxml', "a\r\nX: y.edxml", "../a", "văn.edxml"):
        with pytest.raises(Refused):
            build_packet(EDXML, province.a.sender, to, name=name)
    with pytest.raises(Refused):
        build_packet(EDXML, province.a.sender, [("a@b>\r\nBcc: c@d", province.b.encryption)])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    with pytest.raises(Refused):
        packet_digest(b"From: a@b.c\r\n" + data)
    with pytest.raises(Refused):
        packet_digest(data)


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 49_151, 49_152, 49_153, 100_000])
def test_lines_of_base64(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    lines = base64.b64encode(data[:size]).decode()
    wanted = "".join(f"{lines[start : start + 64]}\r\n" for start in range(0, len(lines), 64))
    assert packet_form.base64_lines(data[:size]).decode() == wanted
