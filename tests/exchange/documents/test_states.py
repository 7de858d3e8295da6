# SPDX-License-Identifier: AGPL-3.0-or-later
"""The table of moves, and that a row only moves from where the move starts."""

from __future__ import annotations

import pytest

from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from exchange.documents import records
from exchange.documents.model import Fields
from exchange.documents.states import FIRST, MOVES, NAMES, move_from

NEW = records.NewDocument(1, "outgoing", "drafted", 7, "H12.01", b"key")


def test_every_state_can_be_reached_and_named() -> None:
    reached = {state for states in FIRST.values() for state in states}
    while True:
        more = {move.after for move in MOVES.values() if move.before in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(NAMES)


def test_what_is_sent_void_registered_or_refused_stays_so() -> None:
    ends = {"sent", "void", "registered", "refused"}
    assert not [name for name, move in MOVES.items() if move.before in ends]


def test_no_number_after_issuing_and_none_before_the_signature() -> None:
    assert MOVES["number"].before == "signed"
    assert {move.before for move in MOVES.values() if move.after == "numbered"} == {"signed"}
    assert {move.before for move in MOVES.values() if move.after == "sent"} == {"sealed"}


@pytest.mark.parametrize("state", sorted(NAMES))
def test_a_move_is_refused_from_any_other_state(state: str) -> None:
    for name, move in MOVES.items():
        if move.before == state:
            assert move_from(state, name) is move
        else:
            with pytest.raises(Refused) as refused:
                move_from(state, name)
            assert refused.value.code == "wrong-state"


def test_only_one_of_two_hands_makes_the_move(database: Database, seal: Seal) -> None:
    ref = database.write(lambda conn: records.create(conn, seal, NEW, Fields(subject="Bí mật riêng")))
    database.write(lambda conn: records.advance(conn, seal, ref, "approve"))
    with pytest.raises(Refused) as refused:
        database.write(lambda conn: records.advance(conn, seal, ref, "approve"))
    assert refused.value.code == "wrong-state"
    with database.reading() as conn:
        assert records.get(conn, seal, ref).state == "approved"


def test_a_document_begins_only_where_documents_begin(database: Database, seal: Seal) -> None:
    new = records.NewDocument(1, "outgoing", "sent", 7, "H12.01", b"key")
    with pytest.raises(Refused):
        database.write(lambda conn: records.create(conn, seal, new, Fields()))


def test_fields_come_back_and_unknown_members_are_left_out() -> None:
    fields = Fields(
        subject="Trích yếu", to_codes=("H12.02", "H12.03"), remarks=("a",), official=True, pages=3
    )
    assert Fields.read(fields.as_json()) == fields
    assert Fields.read(b'{"subject": "x", "member_of_tomorrow": 1}') == Fields(subject="x")
