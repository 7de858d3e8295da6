# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading what the axis sends, writing what it reads."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.refusal import Refused
from exchange.edxml.attachments import MAX_RATIO, found_type, pack, unpack
from exchange.edxml.model import (
    Attachment,
    Business,
    DocumentPacket,
    Organ,
    Receiver,
    Reference,
    Replacement,
    ResponseFor,
    Staff,
    StatusPacket,
    Trace,
)
from exchange.edxml.read import read
from exchange.edxml.tree import MAX_DEPTH
from exchange.edxml.write import write
from tests.exchange.edxml.samples import FILES, document, sample

with_samples = pytest.mark.skipif(len(FILES) < 15, reason="the published samples are not here")


@with_samples
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_read(path: Any) -> None:
    reading = read(path.read_bytes())
    assert reading.repaired is (path.name == "edoc.edxml")
    assert isinstance(reading.packet, StatusPacket if path.name.startswith("status") else DocumentPacket)
    assert reading.packet.sender.organ_id
    if path.name != "edoc.edxml":  # its attachment is no base64
        assert read(write(reading.packet)).packet == reading.packet


@with_samples
def test_sample_details() -> None:
    packet = read(sample("edoc_replacement.edxml")).packet
    assert isinstance(packet, DocumentPacket)
    assert packet.kind == "3"
    assert [one.organ_ids for one in packet.business.replacements] == [("000.00.00.H41", "000.00.00.H14")] * 2
    assert packet.number == "7816/VPCP-TTĐT"
    content = unpack(packet.attachments[0])
    assert content.found_type == "application/xml"
    assert [one.rule for one in content.problems] == ["R-REC-13"]
    old = read(sample("edoc.edxml")).packet
    assert isinstance(old, DocumentPacket)
    assert old.response_for == ()
    assert not old.attachments[0].sound
    back = read(sample("status_cancellation_13.edxml")).packet
    assert isinstance(back, StatusPacket)
    assert back.response_for.organ_id == "000.00.00.H41"


def test_round_trip_of_a_document() -> None:
    packet = document()
    data = write(packet)
    assert read(data).packet == packet
    assert data.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<edXML xmlns=')
    assert b"<Attachment>" in data
    assert b"<edXML:ContentTransferEncoded xmlns:edXML=" in data


_TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20).map(str.strip)
_FULL = _TEXT.filter(bool)


def _flat(made: type[Any], /, **fixed: Any) -> st.SearchStrategy[Any]:
    return st.builds(made, **{one.name: _TEXT for one in fields(made) if one.name not in fixed}, **fixed)


def _several(made: type[Any], /, **fixed: Any) -> st.SearchStrategy[Any]:
    return st.lists(_flat(made, **fixed).filter(lambda one: one != made()), max_size=3).map(tuple)


_STAFF = st.none() | _flat(Staff).filter(lambda one: one != Staff())
_BUSINESS = _flat(
    Business,
    kind=st.sampled_from("0123"),
    receivers=_several(Receiver),
    staff=_STAFF,
    replacements=_several(Replacement, organ_ids=st.lists(_FULL, max_size=2).map(tuple)),
)
_ID = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
_DOCUMENTS = st.builds(
    DocumentPacket,
    **{one.name: _TEXT for one in fields(DocumentPacket) if one.type == "str"},
    sender=_flat(Organ),
    to=_several(Organ),
    to_places=st.lists(_FULL, max_size=2).map(tuple),
    appendixes=st.lists(_FULL, max_size=2).map(tuple),
    response_for=_several(ResponseFor),
    task_codes=st.lists(_FULL, max_size=2).map(tuple),
    traces=_several(Trace),
    business=_BUSINESS,
    references=_several(Reference, content_id=_ID),
    attachments=_several(Attachment, content_id=_ID, data=st.binary(max_size=50), sound=st.just(True)),
)
_STATUSES = _flat(
    StatusPacket, sender=_flat(Organ), response_for=_flat(ResponseFor), staff=_STAFF, status_code=_FULL
)


@settings(max_examples=80, deadline=None)
@given(_DOCUMENTS | _STATUSES)
def test_round_trip(packet: DocumentPacket | StatusPacket) -> None:
    assert read(write(packet)).packet == packet


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: ("<edXML>" + text).encode("utf-8", "replace"))
)
def test_garbage_is_a_clean_refusal(data: bytes) -> None:
    with pytest.raises(Refused):
        read(data)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**9), st.binary(min_size=1, max_size=3))
def test_damaged_packets_read_or_refuse(place: int, junk: bytes) -> None:
    data = bytearray(write(document()))
    at = place % len(data)
    data[at : at + len(junk)] = junk
    with suppress(Refused):
        read(bytes(data))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "edxml-empty"),
        (b'<?xml version="1.0" encoding="UTF-16"?><edXML/>', "edxml-encoding"),
        (b"<edXML>\xff</edXML>", "edxml-encoding"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><edXML>&b;</edXML>', "edxml-doctype"),
        (
            b'<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"><?a b?></edXML>',
            "edxml-processing-instruction",
        ),
        (b"<edXML/>", "edxml-root"),
        (b'<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"/>', "edxml-no-header"),
        (b"<a>" * 200_001, "edxml-too-many-tags"),
        (
            b'<x:edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"><y:a/></x:edXML>',
            "edxml-not-well-formed",
        ),
    ],
)
def test_refusals(data: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        read(data)
    assert caught.value.code == code


def test_depth_is_bounded() -> None:
    uri = b"http://www.mic.gov.vn/TBT/QCVN_102_2016"
    nested = b'<edXML xmlns="' + uri + b'">' + b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH + b"</edXML>"
    with pytest.raises(Refused, match="too-deep"):
        read(nested)
    with pytest.raises(Refused):
        read(nested.replace(b"<a>", b"<a>" * 500))


def test_comment_cannot_cut_a_value() -> None:
    data = write(document()).replace(b"Ch\xc3\xa1nh", b"Ch<!-- x -->\xc3\xa1nh")
    packet = read(data).packet
    assert isinstance(packet, DocumentPacket)
    assert packet.position == "Chánh Văn phòng"


def test_twice_is_told() -> None:
    data = write(document()).replace(b"<edXML:Subject>", b"<edXML:Subject>x</edXML:Subject><edXML:Subject>")
    assert [one.element for one in read(data).problems] == ["Subject"]


def test_control_characters_are_not_written() -> None:
    with pytest.raises(Refused, match="edxml-text"):
        write(replace(document(), subject="a\x00b"))


def test_zip_bomb_and_other_archives() -> None:
    _, bomb = pack("a.pdf", b"%PDF-" + b"\0" * 20_000_000)
    assert len(bomb.data) * MAX_RATIO < 20_000_000
    opened = unpack(bomb)
    assert opened.data == b""
    assert opened.problems[0].severity == "block"
    assert unpack(replace(bomb, data=bomb.data[:-30])).problems[0].severity == "block"
    docx = Attachment("1", "a.docx", "application/zip", "", b"PK\x03\x04rest")
    assert unpack(docx).data == docx.data
    assert unpack(docx).problems == ()
    program = Attachment("1", "a.pdf", "application/pdf", "", b"MZ\x90")
    assert [one.severity for one in unpack(program).problems] == ["warn", "block"]
    assert found_type(b"\xef\xbb\xbf<?xml ?>") == "application/xml"


def test_packing_is_repeatable() -> None:
    assert pack("a.pdf", b"%PDF-1") == pack("a.pdf", b"%PDF-1")
