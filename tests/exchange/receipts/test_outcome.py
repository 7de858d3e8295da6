# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one outcome: precedence, and that the order of arrival does not matter."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.receipts.outcome import STATUS_EVENTS, STEPS, Record, outcome


def _state(*events: tuple[str, int]) -> str:
    return outcome([Record(event, at, "d", True) for event, at in events]).state


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "pending"),
        ([("sent", 1), ("relayed", 2)], "pending"),
        ([("delivery-failed", 1)], "failed"),
        ([("expired", 5)], "expired"),
        ([("expired", 5), ("arrived", 9)], "delivered"),
        ([("arrived", 1), ("expired", 9)], "delivered"),
        ([("arrived", 1), ("registered", 2), ("assigned", 3)], "accepted"),
        ([("arrived", 1), ("registered", 2), ("refused", 3)], "refused"),
        ([("refused", 2), ("registered", 3)], "accepted"),
        ([("registered", 2), ("recall-asked", 3), ("recall-agreed", 4)], "recalled"),
        ([("registered", 2), ("recall-asked", 3), ("recall-agreed", 4), ("refused", 5)], "recalled"),
        ([("registered", 2), ("recall-asked", 3), ("recall-refused", 4)], "accepted"),
        ([("registered", 2), ("refused", 3), ("recall-agreed", 4)], "refused"),
    ],
)
def test_precedence(events: list[tuple[str, int]], state: str) -> None:
    assert _state(*events) == state


def test_two_packets_are_an_incident() -> None:
    assert outcome([Record("arrived", 1, "a"), Record("registered", 2, "b")]).state == "incident"


def test_proved_decides_before_claimed() -> None:
    found = outcome([Record("registered", 1, "d", True), Record("refused", 2, "d", False)])
    assert (found.state, found.proved) == ("accepted", True)
    assert outcome([Record("sent", 1, "d", True), Record("refused", 2, "d")]).state == "refused"


def test_skew_is_shown() -> None:
    assert outcome([Record("arrived", 400_000_000, "d", True, 1)]).skewed
    assert not outcome([Record("arrived", 100_000_000, "d", True, 1)]).skewed


_RECORDS = st.lists(
    st.builds(
        Record,
        st.sampled_from(sorted({*STEPS, *STATUS_EVENTS.values(), "sent"})),
        st.integers(0, 5),
        st.sampled_from(["", "d"]),
        st.booleans(),
    ),
    max_size=8,
)


@given(_RECORDS, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(records: list[Record], chance: random.Random) -> None:
    shuffled = records + records[:3]
    chance.shuffle(shuffled)
    assert outcome(shuffled) == outcome(records)
