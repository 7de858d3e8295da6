# SPDX-License-Identifier: AGPL-3.0-or-later
"""Receipts: what passes, what does not, and that every byte of one counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.clock import now_us
from exchange.receipts.receipt import Event, NotReceipt, file_name, read_receipt, write_receipt
from exchange.receipts.verify import verify_receipt
from exchange.sealing.judging import Judging
from exchange.trust.anchors import Anchors
from tests.exchange.receipts.ledger import receipt
from tests.exchange.sealing.province import Province

ARRIVED = Event("arrived", "01", "ab" * 32, "H12.01", "H12.11", "H12.11")
REGISTERED = Event("registered", "03", "ab" * 32, "H12.01", "H12.11", "H12.11", (("number", "45"),))


@pytest.fixture(scope="module")
def arrived(province: Province) -> bytes:
    return write_receipt(receipt(province, ARRIVED, at_us=now_us()))


@pytest.fixture(scope="module")
def registered(province: Province) -> bytes:
    return write_receipt(receipt(province, REGISTERED, by=province.b, at_us=now_us()))


def test_passes_with_nothing_but_the_root(province: Province, arrived: bytes, registered: bytes) -> None:
    first = verify_receipt(arrived, province.judging)
    assert first.passed, first.reason
    assert first.official
    assert len(first.signatures) == 1
    second = verify_receipt(registered, province.judging)
    assert second.passed, second.reason
    assert [one.organisation for one in second.signatures] == ["Tỉnh thử", "Cơ quan H12.11"]
    assert second.fields is not None
    assert (second.fields["status"], second.fields["number"]) == ("03", "45")
    assert read_receipt(registered).event == REGISTERED
    assert len(arrived) < 6_000


def test_every_byte_counts(province: Province, registered: bytes) -> None:
    for place in range(len(registered)):
        for flip in (0x01, 0x20) if place % 7 == 0 else (0x01,):
            altered = bytearray(registered)
            altered[place] ^= flip
            verdict = verify_receipt(bytes(altered), province.judging)
            assert not verdict.passed, place
            assert verdict.reason, place


def test_additions_and_other_spellings(province: Province, arrived: bytes) -> None:
    value = json.loads(arrived)
    for altered in (
        arrived + b"\n",
        b" " + arrived,
        arrived.replace(b"\n", b"\r\n"),
        json.dumps(value).encode(),
        arrived.replace(b'"act": null', b'"act": null, "act": null'),
        json.dumps({**value, "more": 1}, sort_keys=True, indent=2).encode() + b"\n",
        b"[" * 60_000,
    ):
        assert verify_receipt(altered, province.judging).verdict == "UNREADABLE"


def test_trust(province: Province, arrived: bytes, registered: bytes) -> None:
    verdict = verify_receipt(arrived, Judging())
    assert (verdict.verdict, verdict.sub_indication) == ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND")
    bare = write_receipt(replace(read_receipt(arrived), log_certificates=()))
    assert verify_receipt(bare, province.judging).verdict == "INDETERMINATE"
    assert verify_receipt(bare, province.judging, [province.log_key]).passed
    require = Judging(province.anchors, require_revocation=True)
    assert verify_receipt(registered, require).verdict == "INDETERMINATE"
    crl = province.crl_with(province.b.chain[0], datetime.now(UTC) - timedelta(minutes=5))
    revoked = verify_receipt(registered, Judging(Anchors(province.anchors.roots, (), (crl,))))
    assert (revoked.verdict, revoked.sub_indication) == ("TOTAL-FAILED", "REVOKED")


def test_acts_of_persons(province: Province) -> None:
    unsigned = write_receipt(receipt(province, REGISTERED, at_us=now_us()))
    assert verify_receipt(unsigned, province.judging).verdict == "INDETERMINATE"
    other = write_receipt(receipt(province, REGISTERED, by=province.a, at_us=now_us()))
    assert verify_receipt(other, province.judging).sub_indication == "SEAL_OF_OTHER_AGENCY"


def test_no_other_certificate_speaks_for_a_log(province: Province, arrived: bytes) -> None:
    forged = replace(read_receipt(arrived), log_certificates=province.a.chain)
    verdict = verify_receipt(write_receipt(forged), province.judging)
    assert (verdict.verdict, verdict.sub_indication) == ("TOTAL-FAILED", "CHAIN_CONSTRAINTS_FAILURE")
    spare = replace(read_receipt(arrived), log_certificates=(*province.log_chain, province.a.chain[0]))
    assert verify_receipt(write_receipt(spare), province.judging).verdict == "TOTAL-FAILED"


def test_another_event_or_document_fails(province: Province, arrived: bytes) -> None:
    good = read_receipt(arrived)
    for wrong in (
        replace(good, document="H12.01,2026/01/05,13/TB-VP"),
        replace(good, event=replace(ARRIVED, packet="cd" * 32)),
        replace(good, event=replace(ARRIVED, event="opened")),
        replace(good, nonce=bytes(16)),
    ):
        assert verify_receipt(write_receipt(wrong), province.judging).sub_indication == "HASH_FAILURE"


@pytest.mark.parametrize(("position", "size"), [(0, 1), (0, 2), (6, 7), (7, 8), (63, 100)])
def test_any_place_in_the_log(province: Province, position: int, size: int) -> None:
    data = write_receipt(receipt(province, ARRIVED, at_us=now_us(), position=position, size=size))
    assert verify_receipt(data, province.judging).passed


def test_file_name() -> None:
    assert file_name(REGISTERED, 7) == "03-H12.11-7.receipt.json"
    assert file_name(replace(ARRIVED, status="", issuer="../x"), 7) == "arrived-.._x-7.receipt.json"


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_garbage(data: bytes) -> None:
    with pytest.raises(NotReceipt):
        read_receipt(data)
    assert verify_receipt(data, Judging()).verdict == "UNREADABLE"
