# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is not as it should be: cut at every length, BER oddities, boxes that lie about their size, false attributes."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.ber import Malformed, Node, Stream
from exchange.sealing.enveloped import AUTH_ENVELOPED, decrypt, encrypt, encrypt_for_plain_clients
from exchange.sealing.recipients import recipient_infos
from exchange.sealing.signed import (
    SIGNED_DATA,
    render_signed,
    sign_detached,
    signed_attributes,
    verify_signed,
)
from tests.exchange.sealing.province import Province

BODY = b"content"


def test_cut_at_every_length(province: Province) -> None:
    signed = sign_detached(BODY, province.a.chain, province.a.sign)
    key = os.urandom(32)
    sealed = encrypt(BODY, recipient_infos([province.b.encryption], key), key)
    plain = encrypt_for_plain_clients(BODY, [province.b.encryption])
    for data in (sealed, plain):
        for end in range(len(data)):
            with pytest.raises(Refused):
                decrypt(data[:end], [province.b.opener])
    for end in range(len(signed)):
        with pytest.raises(Refused):
            verify_signed(signed[:end], BODY, province.judging)


def test_bytes_behind_the_structure(province: Province) -> None:
    signed = sign_detached(BODY, province.a.chain, province.a.sign)
    for more in (b"\x00", b"\x00\x00", signed):
        with pytest.raises(Refused):
            verify_signed(signed + more, BODY, province.judging)


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x80",
        b"\x30\x80" * 5000,
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x88" + b"\xff" * 8 + b"\x06\x09",
        b"\x30\xff" + b"\x00" * 200,
        b"\x3f\xff\xff\xff\x7f\x00",
        b"\x30\x03\x04\x80\x00",
        b"\x24\x80" * 100 + b"\x04\x01x" + b"\x00\x00" * 100,
    ],
)
def test_ber_oddities(province: Province, data: bytes) -> None:
    """Refused at once, whatever the lengths promise."""
    started = time.process_time()
    with pytest.raises(Refused):
        decrypt(data, [province.b.opener])
    with pytest.raises(Refused):
        verify_signed(data, BODY, province.judging)
    assert time.process_time() - started < 1


def test_an_indefinite_form_of_ours_is_read(province: Province) -> None:
    """The same structure with indefinite lengths and strings in pieces says the same."""

    def loose(node: Node) -> bytes:
        if node.tag & 0x20:
            inside = b"".join(loose(one) for one in node.children())
            return bytes((node.tag, 0x80)) + inside + b"\x00\x00"
        return node.raw

    key = os.urandom(32)
    sealed = encrypt(BODY * 100, recipient_infos([province.b.encryption], key), key)
    outer = Node.only(sealed)
    kind, explicit = outer.children()
    version, infos, content, tag = explicit.children()[0].children()
    named, method, data = content.children()
    pieces = [data.content[at : at + 100] for at in range(0, len(data.content), 100)]
    string = b"\xa0\x80" + b"".join(map(der.octets, pieces)) + b"\x00\x00"
    inner = b"\x30\x80" + named.raw + method.raw + string + b"\x00\x00"
    body = b"\x30\x80" + version.raw + infos.raw + inner + tag.raw + b"\x00\x00"
    whole = b"\x30\x80" + kind.raw + b"\xa0\x80" + body + b"\x00\x00\x00\x00"
    opened = decrypt(whole, [province.b.opener])
    assert (opened.content, opened.canonical) == (BODY * 100, False)
    assert loose(outer)[:2] == b"\x30\x80"


def test_three_thousand_and_one_recipients(province: Province) -> None:
    info = recipient_infos([province.b.encryption], b"k" * 32)[0]
    many = der.tlv(der.SET, *[info] * 3001)
    body = der.sequence(der.integer(0), many, der.sequence(der.oid("1.2.840.113549.1.7.1")))
    with pytest.raises(Refused):
        decrypt(der.sequence(der.oid(AUTH_ENVELOPED), der.explicit(0, body)), [province.b.opener])


def test_attributes_as_content(province: Province) -> None:
    """Signed attributes of another signature, taken as the content, carry its value: no proof of anything."""
    attributes = signed_attributes(
        province.a.chain[0], hashlib.sha256(BODY).digest(), datetime.now(UTC) - timedelta(minutes=1)
    )
    value = province.a.sign(attributes)
    node = Node.only(render_signed(attributes, value, province.a.chain))
    _, explicit = node.children()
    version, digests, encap, bag, infos = explicit.children()[0].children()
    number, sid, digest, _, method, signature = infos.children()[0].children()
    bare = der.sequence(number.raw, sid.raw, digest.raw, method.raw, signature.raw)
    body = der.sequence(version.raw, digests.raw, encap.raw, bag.raw, der.set_of(bare))
    forged = der.sequence(der.oid(SIGNED_DATA), der.explicit(0, body))
    judged = verify_signed(forged, attributes, province.judging)
    assert (judged.outcome, judged.sub_indication) == ("TOTAL-FAILED", "FORMAT_FAILURE")


def test_a_point_off_the_curve(province: Province) -> None:
    """A point that is not on the curve opens nothing."""
    key = os.urandom(32)
    sealed = encrypt(BODY, recipient_infos([province.b.encryption], key), key)
    at = sealed.index(b"\x03\x42\x00\x04") + 10
    off = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
    with pytest.raises(Refused):
        decrypt(off, [province.b.opener])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_the_reader_only_says_malformed(data: bytes) -> None:

    for read in (lambda: Node.only(data).children(), lambda: Stream(BytesIO(data)).whole(200).oid()):
        try:
            read()
        except Malformed:
            continue
