# SPDX-License-Identifier: AGPL-3.0-or-later
"""Entries: canonical bytes, disclosure, erasure, finding without clear text."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from policy.ledger import receipt
from policy.ledger.entries import disclose, erase, index_of, listing, of_subject, record
from policy.ledger.leaf import MAX_LEAF, Leaf, canonical, commit, decode
from tests.policy.ledger import logs


def test_leaf_is_canonical_text() -> None:
    leaf = Leaf(17, "document.sent", 1_700_000_000_000_000, b"p" * 32, b"c" * 32)
    data = leaf.encode()
    assert data == (
        b"congvan-entry/1\n17\ndocument.sent\n1700000000000000\n"
        b"cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHA=\nY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M=\n"
    )
    assert decode(data) == leaf
    longest = Leaf(10**15 - 1, "a" * 40, 10**17 - 1, b"p" * 32, b"c" * 32)
    assert len(longest.encode()) <= MAX_LEAF


@given(st.binary(max_size=220))
def test_garbage_is_no_leaf(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode(data)


@given(st.integers(0, 170), st.integers(1, 255))
def test_a_changed_leaf_is_another_leaf_or_none(at: int, change: int) -> None:
    data = bytearray(Leaf(17, "document.sent", 1_700_000_000_000_000, b"p" * 32, b"c" * 32).encode())
    data[at % len(data)] ^= change
    with contextlib.suppress(ValueError):
        assert decode(bytes(data)).encode() == bytes(data)


def test_commitment_is_what_the_docstring_says() -> None:
    content = canonical("vănbản", {"b": [1, None, True], "a": "ký"})
    assert content == '{"detail":{"a":"ký","b":[1,null,true]},"subject":"vănbản"}'.encode()
    assert (
        commit(b"n" * 16, content) == hashlib.sha256(b"congvan-commitment/1\n" + b"n" * 16 + content).digest()
    )


@pytest.mark.parametrize(
    "detail", [{"x": 1.5}, {"x": 2**53}, {"x": "\ud800"}, {"x": b"b"}, {"x": "a" * 20_000}]
)
def test_details_that_have_no_canonical_form_are_refused(detail: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        canonical("s", detail)  # type: ignore[arg-type]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=20,
    )
)
def test_canonical_form_reads_back(value: object) -> None:
    data = canonical("s", {"v": value})  # type: ignore[dict-item]
    assert json.loads(data) == {"subject": "s", "detail": {"v": value}}


def test_kinds_are_plain_words(seal: Seal, sqlite_database: Database) -> None:
    for kind in ("", "Document", "a b", "a.", "x" * 41, "a\nb"):
        with pytest.raises(ValueError):
            sqlite_database.write(lambda conn, kind=kind: record(conn, seal, kind, "s", {}))


def test_disclose_prove_find_and_erase(database: Database, seal: Seal, tmp_path: Path) -> None:
    log = logs.make(database, seal, tmp_path / "ledger")
    log.grow(3)
    one = database.write(lambda conn: record(conn, seal, "document.sent", "12/TB-VP", {"to": ["H12.02"]}))
    with database.reading() as conn:
        assert index_of(conn, one) is None
    log.sequencer.sequence_once()
    with database.reading() as conn:
        assert index_of(conn, one) == 3
        found = disclose(conn, seal, 3)
        assert (found.subject, found.detail) == ("12/TB-VP", {"to": ["H12.02"]})
        assert [entry.index for entry in of_subject(conn, seal, "12/TB-VP")] == [3]
        assert [entry.index for entry in listing(conn, kind="document.")] == [3]
        assert [entry.index for entry in listing(conn, before=3, limit=2)] == [2, 1]
    proof = log.sequencer.proof(3)
    proved = receipt.verify(receipt.from_json(proof.as_json()), logs.KEY)
    receipt.verify_disclosure(proved.leaf, found.nonce, found.subject, found.detail)
    with pytest.raises(receipt.ReceiptWrong):
        receipt.verify_disclosure(proved.leaf, found.nonce, found.subject, {"to": ["H12.03"]})
    database.write(lambda conn: erase(conn, seal, 3, actor="H12.11", reason="lệnh xóa"))
    log.sequencer.sequence_once()
    with database.reading() as conn:
        with pytest.raises(Refused, match="entry-erased"):
            disclose(conn, seal, 3)
        assert disclose(conn, seal, 4).subject == "entry/3"
    assert receipt.verify(log.sequencer.proof(3), logs.KEY).leaf == proved.leaf
    with pytest.raises(Refused, match="entry-erased"):
        database.write(lambda conn: erase(conn, seal, 3, actor="a", reason="b"))
    with pytest.raises(Refused, match="no-such-entry"):
        log.sequencer.proof(99)
