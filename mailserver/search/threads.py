# SPDX-License-Identifier: AGPL-3.0-or-later
"""THREAD=ORDEREDSUBJECT and THREAD=REFERENCES (RFC 5256 §4). Pure; no recursion, since threads may be deep.

Nodes are numbers and what is known of them lies in lists: a mailbox of 100,000 makes no 100,000 objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from mailserver.search.columns import Threads

_NONE = -1


class Forest:
    """``at[node]`` is a node's message (its position), -1 of a dummy; ``children`` are those of nodes that have any."""

    __slots__ = ("at", "children", "roots")

    def __init__(self) -> None:
        self.at: list[int] = []
        self.children: dict[int, list[int]] = {}
        self.roots: list[int] = []

    def add(self, at: int) -> int:
        """A node more; returns its number."""
        self.at.append(at)
        return len(self.at) - 1

    def first(self, node: int) -> int:
        """The message of a node, a dummy's first child's for a dummy."""
        at = self.at[node]
        return at if at >= 0 else self.at[self.children[node][0]]


def ordered_subject(positions: Sequence[int], base: Sequence[bytes], dates: Sequence[int]) -> Forest:
    """Threads of one base subject each: the first by date, the others its children (RFC 5256 §4)."""
    found = Forest()
    groups: dict[bytes, int] = {}
    for at in sorted(positions, key=dates.__getitem__):
        root = groups.get(base[at])
        if root is None:
            root = groups[base[at]] = found.add(at)
            found.roots.append(root)
        else:
            found.children.setdefault(root, []).append(found.add(at))
    return found


def references(
    positions: Sequence[int],
    facts: Threads,
    index: Sequence[int] | None,
    base: Sequence[bytes],
    dates: Sequence[int],
) -> Forest:
    """Threads by References, In-Reply-To and, for roots, base subject: the six steps of RFC 5256 §4.

    ``index``: for each position where it stands in ``facts`` (-1: nowhere); None when they are the same.
    """
    found = _linked(positions, facts, index)
    _prune(found)
    _sort_roots(found, dates)
    answers = facts.answers
    _gather(found, base, lambda at: bool(answers[at if index is None else index[at]]))
    _sort_children(found, dates)
    _sort_roots(found, dates)
    return found


def _linked(positions: Sequence[int], facts: Threads, index: Sequence[int] | None) -> Forest:
    """Steps 1 and 2: every message under the last of its references."""
    out = Forest()
    ats, children = out.at, out.children
    starts = list(accumulate(facts.counts, initial=0))
    ids, refs = facts.ids, facts.refs
    known: dict[int, int] = {}
    parent: list[int] = []
    for at in positions:
        where = at if index is None else index[at]
        identity = ids[where] if where >= 0 else 0
        node = known.get(identity, _NONE) if identity else _NONE
        if node < 0 or ats[node] >= 0:  # no id, or one that another message had already
            node = len(ats)
            ats.append(at)
            parent.append(_NONE)
            if identity and identity not in known:
                known[identity] = node
        else:
            ats[node] = at
        if where < 0:
            continue
        before = _NONE
        for one in refs[starts[where] : starts[where + 1]]:
            found = known.get(one, _NONE)
            if found < 0:
                found = known[one] = len(ats)
                ats.append(_NONE)
                parent.append(_NONE)
            if before >= 0 and parent[found] < 0 and not _under(before, found, parent, children):
                parent[found] = before
                children.setdefault(before, []).append(found)
            before = found
        if parent[node] >= 0 and parent[node] != before:
            children[parent[node]].remove(node)
            parent[node] = _NONE
        if before >= 0 and parent[node] != before and not _under(before, node, parent, children):
            parent[node] = before
            children.setdefault(before, []).append(node)
    out.roots = [
        node for node, above in enumerate(parent) if above < 0 and (ats[node] >= 0 or children.get(node))
    ]
    return out


def _under(one: int, other: int, parent: list[int], children: dict[int, list[int]]) -> bool:
    """Whether ``one`` is ``other`` or stands under it."""
    if not children.get(other):
        return one == other
    while one != other:
        one = parent[one]
        if one < 0:
            return False
    return True


def _inner(found: Forest) -> list[int]:
    """Every node with children, parents before their children."""
    children = found.children
    order: list[int] = []
    stack = [root for root in found.roots if children.get(root)]
    while stack:
        one = stack.pop()
        order.append(one)
        stack += [child for child in children[one] if children.get(child)]
    return order


def _prune(found: Forest) -> None:
    """Step 3: dummies without messages out, children of dummies up; a root dummy stays over several children."""
    ats, children = found.at, found.children
    if _NONE not in ats:
        return
    for one in reversed(_inner(found)):
        if any(ats[child] < 0 for child in children[one]):
            kept: list[int] = []
            for child in children[one]:
                kept += [child] if ats[child] >= 0 else children.get(child, ())
            children[one] = kept
    roots: list[int] = []
    for root in found.roots:
        if ats[root] >= 0:
            roots.append(root)
            continue
        below = children.get(root, [])
        roots += [root] if len(below) > 1 else below
    found.roots = roots


def _gather(found: Forest, base: Sequence[bytes], answer: Callable[[int], bool]) -> None:
    """Step 5: roots of one base subject come together."""
    ats, children, first = found.at, found.children, found.first
    table: dict[bytes, int] = {}
    subjects = [base[at if (at := ats[root]) >= 0 else first(root)] for root in found.roots]
    for root, subject in zip(found.roots, subjects, strict=True):  # 5.B
        if not subject:
            continue
        known = table.setdefault(subject, root)
        if known == root or ats[known] < 0:
            continue
        if ats[root] < 0 or (answer(ats[known]) and not answer(ats[root])):
            table[subject] = root
    kept: list[int] = []
    for root, subject in zip(found.roots, subjects, strict=True):  # 5.C
        top = table[subject] if subject else root
        if top == root:
            kept.append(root)
        elif ats[top] < 0 and ats[root] < 0:
            children[top] += children[root]
        elif ats[top] < 0 or (ats[root] >= 0 and answer(ats[root]) and not answer(ats[top])):
            children.setdefault(top, []).append(root)
        else:
            inner = found.add(ats[top])
            if top in children:
                children[inner] = children[top]
            ats[top], children[top] = _NONE, [inner, root]
    found.roots = kept


def _sort_children(found: Forest, dates: Sequence[int]) -> None:
    """Step 4 and 6: siblings by sent date, a dummy by its first child."""
    first = found.first
    for one in reversed(_inner(found)):
        if len(found.children[one]) > 1:
            found.children[one].sort(key=lambda child: (dates[first(child)], first(child)))


def _sort_roots(found: Forest, dates: Sequence[int]) -> None:
    ats, children, roots = found.at, found.children, found.roots
    firsts = [ats[one] if ats[one] >= 0 else ats[children[one][0]] for one in roots]
    moments = [dates[at] for at in firsts]
    order = sorted(range(len(roots)), key=firsts.__getitem__)  # what has the same date stands by number
    order.sort(key=moments.__getitem__)
    found.roots = [roots[one] for one in order]


def write(found: Forest, number: Sequence[int]) -> bytes:
    """The thread lists of a THREAD response (RFC 5256 §5); ``number`` names the message at a position."""
    ats, children = found.at, found.children
    out: list[bytes] = []
    alone: list[int] = []  # most of a mailbox
    for root in found.roots:
        below = children.get(root)
        if not below:
            alone.append(number[ats[root]])
            continue
        out.append(_alone(alone))
        alone = []
        if any(map(children.get, below)):
            out.append(_deep(root, ats, children, number))
            continue
        leaves = [number[ats[one]] for one in below]
        if ats[root] < 0:
            out.append(b"(%b)" % _alone(leaves))
        elif len(leaves) == 1:
            out.append(b"(%d %d)" % (number[ats[root]], leaves[0]))
        else:
            out.append(b"(%d %b)" % (number[ats[root]], _alone(leaves)))
    out.append(_alone(alone))
    return b"".join(out)


def _alone(numbers: list[int]) -> bytes:
    return (b"(%d)" * len(numbers)) % tuple(numbers)


def _deep(root: int, ats: list[int], children: dict[int, list[int]], number: Sequence[int]) -> bytes:
    """One thread with answers to answers."""
    out: list[str] = []
    stack: list[int | str] = [")", root, "("]
    follows = False
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            out.append(one)
            follows = False
            continue
        if ats[one] >= 0:
            out.append(f" {number[ats[one]]}" if follows else str(number[ats[one]]))
            follows = True
        below = children.get(one, ())
        if len(below) == 1:
            stack.append(below[0])
        elif below:
            if follows:
                out.append(" ")
            for child in reversed(below):
                stack += [")", child, "("]
    return "".join(out).encode()
