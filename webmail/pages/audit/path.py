# SPDX-License-Identifier: AGPL-3.0-or-later
"""The inclusion path of an entry as a drawing: from the entry up to the signed root (RFC 6962 §2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

_STEP, _SIDE, _TOP, _MIDDLE, _SWAY = 30, 42, 22, 155, 36


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the path or the sibling beside it, in the drawing's units; ``right``: which side its mark stands on."""

    x: int
    y: int
    sibling: bool
    mark: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes from the root down; ``own`` and ``side`` are SVG paths of the way and of the siblings' branches."""

    nodes: list[Node]
    own: str
    side: str
    height: int


def drawing(index: int, size: int, hashes: tuple[bytes, ...]) -> Drawing:
    """The way from the root (top) to entry ``index`` in a tree of ``size``."""
    turns = _turns(index, size)
    nodes = [Node(_MIDDLE, _TOP, False, "")]
    own, side = [f"M{_MIDDLE} {_TOP}"], []
    x, y = _MIDDLE, _TOP
    for left, sibling in zip(reversed(turns), reversed(hashes), strict=True):
        other = x + (_SIDE if left else -_SIDE)
        down = y + _STEP
        side.append(f"M{x} {y}L{other} {down}")
        nodes.append(Node(other, down, True, sibling.hex()[:8], left))
        x = min(max(x + (-14 if left else 14), _MIDDLE - _SWAY), _MIDDLE + _SWAY)
        own.append(f"L{x} {down}")
        y = down
        nodes.append(Node(x, y, False, ""))
    return Drawing(nodes, " ".join(own), "".join(side), y + 30)


def _turns(index: int, size: int) -> list[bool]:
    """For each hash of the proof, from the entry up: whether the entry's side is the left one."""
    turns: list[bool] = []
    low, high = 0, size
    while high - low > 1:
        half = 1
        while half * 2 < high - low:
            half *= 2
        left = index < low + half
        turns.append(left)
        low, high = (low, low + half) if left else (low + half, high)
    return turns[::-1]
