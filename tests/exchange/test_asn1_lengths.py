# SPDX-License-Identifier: AGPL-3.0-or-later
"""A length whose last byte is 0x80 is a length, and costs no more than any other."""

from __future__ import annotations

import pytest
from asn1crypto import core

from exchange.asn1_lengths import says_its_length
from exchange.sealing import der


class Deep(core.SequenceOf):  # type: ignore[misc]
    _child_spec = core.Any


@pytest.mark.parametrize("size", [0x80, 0x17F, 0x180, 0x181, 0x280, 0x8080])
def test_what_was_parsed_is_dumped_as_it_came(size: int) -> None:
    inner = der.octets(bytes(size - 4 if size > 0xFF else size - 3))
    data = der.sequence(inner)
    parsed = Deep.load(data)
    assert parsed[0].native is not None
    assert parsed.dump() == data
    assert core.Sequence.load(data).dump() == data


def test_dumping_does_not_encode_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    data = der.sequence(der.octets(bytes(0x180 - 4)))
    parsed = Deep.load(data)
    assert parsed[0].native is not None

    def never(*_: object, **__: object) -> None:
        raise AssertionError("encoded anew")

    monkeypatch.setattr(Deep, "_set_contents", never)
    assert parsed.dump() == data


@pytest.mark.parametrize(
    ("header", "definite"),
    [
        (b"\x30\x80", False),
        (b"\x30\x82\x01\x80", True),
        (b"\x30\x81\x80", True),
        (b"\xa0\x82\x01\x84\x30\x82\x01\x80", True),
        (b"\xa0\x80\x30\x80", False),
        (b"\x3f\x81\x01\x80", False),
        (b"\x3f\x81\x01\x81\x80", True),
        (b"", False),
        (b"\x30", False),
    ],
)
def test_which_headers_give_a_length(header: bytes, definite: bool) -> None:
    assert says_its_length(header) is definite
