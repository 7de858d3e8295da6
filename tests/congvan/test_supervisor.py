# SPDX-License-Identifier: AGPL-3.0-or-later
"""How long the supervisor waits before it starts a role again."""

from __future__ import annotations

from congvan.supervisor import pause_after


def test_a_role_that_served_comes_back_at_once() -> None:
    assert pause_after(0.0, served=3600.0) == 0.0
    assert pause_after(30.0, served=60.0) == 0.0


def test_a_role_that_ends_young_again_and_again_does_not_spin_nor_stay_away() -> None:
    pause = 0.0
    for _ in range(20):
        pause = pause_after(pause, served=0.4)
        assert pause == 0.5


def test_a_role_that_never_served_is_tried_ever_more_rarely() -> None:
    pauses = [0.0]
    for _ in range(9):
        pauses.append(pause_after(pauses[-1], served=None))
    assert pauses[1:] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
