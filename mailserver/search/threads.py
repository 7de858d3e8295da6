# SPDX-License-Identifier: AGPL-3.0-or-later
"""THREAD=ORDEREDSUBJECT and THREAD=REFERENCES (RFC 5256 §4). Pure; no recursion, since threads may be deep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from mailserver.search.columns import Threads


class Node:
    """A message (``at`` its position) or a dummy (-1) with its children."""

    __slots__ = ("at", "children", "parent")

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.parent: Node | None = None
        self.children: list[Node] = []


def ordered_subject(positions: Sequence[int], base: Sequence[str], dates: Sequence[int]) -> list[Node]:
    """Threads of one base subject each: the first by date, the others its children (RFC 5256 §4)."""
    groups: dict[str, list[int]] = {}
    for at in sorted(positions, key=dates.__getitem__):
        groups.setdefault(base[at], []).append(at)
    roots = []
    for group in groups.values():
        root = Node(group[0])
        root.children = [Node(at) for at in group[1:]]
        roots.append(root)
    return roots


def references(
    positions: Sequence[int],
    facts: Threads,
    index: Sequence[int] | None,
    base: Sequence[str],
    dates: Sequence[int],
) -> list[Node]:
    """Threads by References, In-Reply-To and, for roots, base subject: the six steps of RFC 5256 §4.

    ``index``: for each position where it stands in ``facts`` (-1: nowhere); None when they are the same.
    """
    nodes = _linked(positions, facts, index)
    roots = [one for one in nodes if one.parent is None and (one.at >= 0 or one.children)]
    roots = _pruned(roots)
    first = dates.__getitem__
    roots.sort(key=lambda one: first(_first(one).at))
    answers = facts.answers
    roots = _gathered(roots, base, lambda at: bool(answers[at if index is None else index[at]]))
    _sort_all(roots, dates)
    return roots


def _linked(positions: Sequence[int], facts: Threads, index: Sequence[int] | None) -> list[Node]:
    """Step 1: every message under the last of its references."""
    starts = list(accumulate(facts.counts, initial=0))
    ids, refs = facts.ids, facts.refs
    known: dict[int, Node] = {}
    nodes: list[Node] = []
    for at in positions:
        where = at if index is None else index[at]
        identity = ids[where] if where >= 0 else 0
        node = known.get(identity) if identity else None
        if node is None or node.at >= 0:  # no id, or one that another message had already
            node = Node(at)
            nodes.append(node)
            if identity and identity not in known:
                known[identity] = node
        else:
            node.at = at
        if where < 0:
            continue
        before: Node | None = None
        for one in refs[starts[where] : starts[where + 1]]:
            found = known.get(one)
            if found is None:
                found = known[one] = Node()
                nodes.append(found)
            if (
                before is not None
                and found.parent is None
                and found is not before
                and not _under(before, found)
            ):
                found.parent = before
                before.children.append(found)
            before = found
        if node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None
        if before is not None and before is not node and not _under(before, node):
            node.parent = before
            before.children.append(node)
    return nodes


def _under(one: Node, other: Node) -> bool:
    """Whether ``one`` is ``other`` or stands under it."""
    if not other.children:
        return one is other
    while one is not other:
        if one.parent is None:
            return False
        one = one.parent
    return True


def _pruned(roots: list[Node]) -> list[Node]:
    """Step 3: dummies without messages out, children of dummies up; a root dummy stays over several children."""
    order: list[Node] = []
    stack = list(roots)
    while stack:
        one = stack.pop()
        order.append(one)
        stack += one.children
    for one in reversed(order):
        if any(child.at < 0 for child in one.children):
            kept: list[Node] = []
            for child in one.children:
                kept += [child] if child.at >= 0 else child.children
            one.children = kept
            for child in kept:
                child.parent = one
    found: list[Node] = []
    for root in roots:
        if root.at >= 0 or len(root.children) > 1:
            found.append(root)
        elif root.children:
            root.children[0].parent = None
            found.append(root.children[0])
    return found


def _first(one: Node) -> Node:
    return one if one.at >= 0 else one.children[0]


def _gathered(roots: list[Node], base: Sequence[str], answer: Callable[[int], bool]) -> list[Node]:
    """Step 5: roots of one base subject come together."""
    table: dict[str, Node] = {}
    for root in roots:  # 5.B
        subject = base[_first(root).at]
        if not subject:
            continue
        known = table.get(subject)
        if known is None or (known.at >= 0 and (root.at < 0 or (answer(known.at) and not answer(root.at)))):
            table[subject] = root
    gone: set[int] = set()
    for root in roots:  # 5.C
        subject = base[_first(root).at]
        top = table.get(subject) if subject else None
        if top is None or top is root:
            continue
        gone.add(id(root))
        if top.at < 0 and root.at < 0:
            top.children += root.children
        elif top.at < 0 or (root.at >= 0 and answer(root.at) and not answer(top.at)):
            top.children.append(root)
        else:
            inner = Node(top.at)
            inner.children = top.children
            top.at, top.children = -1, [inner, root]
    return [root for root in roots if id(root) not in gone]


def _sort_all(roots: list[Node], dates: Sequence[int]) -> None:
    """Steps 4 and 6: siblings by sent date, a dummy by its first child."""
    order: list[Node] = []
    stack = list(roots)
    while stack:
        one = stack.pop()
        if one.children:
            order.append(one)
            stack += one.children
    key = lambda one: (dates[_first(one).at], _first(one).at)  # noqa: E731
    for one in reversed(order):
        if len(one.children) > 1:
            one.children.sort(key=key)
    roots.sort(key=key)


def write(roots: list[Node], number: Sequence[int]) -> bytes:
    """The thread lists of a THREAD response (RFC 5256 §5); ``number`` names the message at a position."""
    out: list[str] = []
    for root in roots:
        if not root.children:  # most of a mailbox
            out.append(f"({number[root.at]})")
            continue
        stack: list[Node | str] = [")", root, "("]
        follows = False
        while stack:
            one = stack.pop()
            if isinstance(one, str):
                out.append(one)
                follows = False
                continue
            if one.at >= 0:
                out.append(f" {number[one.at]}" if follows else str(number[one.at]))
                follows = True
            if len(one.children) == 1:
                stack.append(one.children[0])
            elif one.children:
                if follows:
                    out.append(" ")
                for child in reversed(one.children):
                    stack += [")", child, "("]
    return "".join(out).encode()
