# SPDX-License-Identifier: AGPL-3.0-or-later
"""LIST (RFC 9051 §6.3.9, RFC 5258 §3, RFC 5819 §2, RFC 6154 §2, RFC 8440 §3) and XLIST, which old Outlook asks (Q18)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mailserver.imap.commands.myrights import line as rights_line
from mailserver.imap.commands.status import parse_items, status_items
from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.names import decode_name
from mailserver.imap.naming import SEPARATOR, Named
from mailserver.imap.session import Session
from mailserver.imap.view import FEW

_SELECTION = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_RETURN = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"})
_MOST_PATTERNS = 50
_FEW_WILDCARDS = 2


@dataclass(slots=True)
class Options:
    """What a LIST chooses and returns. ``status`` holds the items of RETURN (STATUS (…))."""

    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    extended: bool = False


async def run(session: Session, cursor: Cursor) -> bytes:
    """List names by pattern."""
    cursor.space()
    options = Options()
    if cursor.at(b"("):
        options.extended = True
        options.selection = frozenset(cursor.words())
        if options.selection - _SELECTION:
            raise Syntax("A selection option is not known")
        if "RECURSIVEMATCH" in options.selection and not options.selection - {"RECURSIVEMATCH", "REMOTE"}:
            raise Syntax("RECURSIVEMATCH needs another selection option")
        cursor.space()
    reference = decode_name(cursor.astring(), utf8=session.utf8_names)
    cursor.space()
    patterns = _patterns(cursor, options)
    if cursor.try_space() and not cursor.at_end():
        _returns(cursor, options)
    cursor.end()
    if patterns == [""] and not options.extended:
        session.untagged(b'LIST (\\Noselect) "/" ""')
        return b"Done"
    heavy = FEW + 1 if "DELETED" in options.status else 0  # counted row by row
    for line in await session.aside(heavy, partial(lines, session, reference, patterns, options, b"LIST")):
        session.write(line)
        await session.breathe()
    return b"Done"


async def run_xlist(session: Session, cursor: Cursor) -> bytes:
    """XLIST: LIST with the special uses, under its own name."""
    cursor.space()
    reference = decode_name(cursor.astring(), utf8=session.utf8_names)
    cursor.space()
    pattern = cursor.list_mailbox()
    cursor.end()
    for line in lines(session, reference, [pattern], Options(), b"XLIST"):
        session.write(line)
    return b"Done"


def _patterns(cursor: Cursor, options: Options) -> list[str]:
    if not cursor.try_byte(b"("):
        return [cursor.list_mailbox()]
    options.extended = True
    found: list[str] = []
    while not cursor.try_byte(b")"):
        found.append(cursor.list_mailbox())
        if len(found) > _MOST_PATTERNS or (not cursor.try_space() and not cursor.at(b")")):
            raise Syntax("The list of patterns is too long or not closed")
    return found


def _returns(cursor: Cursor, options: Options) -> None:
    if cursor.word() != "RETURN":
        raise Syntax("RETURN is missing")
    options.extended = True
    cursor.space()
    cursor.byte(b"(")
    found: set[str] = set()
    while not cursor.try_byte(b")"):
        word = cursor.word()
        if word == "STATUS":
            cursor.space()
            options.status = parse_items(cursor)
        elif word in _RETURN:
            found.add(word)
        else:
            raise Syntax("A return option is not known")
        if not cursor.try_space() and not cursor.at(b")"):
            raise Syntax("The return options are not closed")
    options.returns = frozenset(found)


def lines(
    session: Session, reference: str, patterns: list[str], options: Options, verb: bytes
) -> list[bytes]:
    """The untagged LIST (LSUB, XLIST) responses, with their STATUS responses."""
    every = session.names.all()
    parents = {one.name.rpartition(SEPARATOR)[0] for one in every}
    matches = matcher([reference + one for one in patterns])
    below = _parents_of_chosen(every, options) if "RECURSIVEMATCH" in options.selection else frozenset()
    out: list[bytes] = []
    for one in every:
        if not matches(one.name):
            continue
        chosen = _chosen(one, options.selection)
        if not chosen and one.name not in below:
            continue
        name = strings.mailbox(one.name, utf8=session.utf8_names)
        has_children, above = one.name in parents, one.name in below
        out.append(_line(one, verb, options, name, has_children=has_children, above=above))
        if one.mailbox is None:
            continue
        if "MYRIGHTS" in options.returns:
            out.append(rights_line(session, one.name, one.rights))
        if options.status and "r" in one.rights:
            items = status_items(session, one.mailbox, options.status)
            out.append(b"* STATUS %b (%b)\r\n" % (name, items))
    return out


def _chosen(one: Named, selection: frozenset[str]) -> bool:
    if "SUBSCRIBED" in selection and (one.mailbox is None or not one.mailbox.subscribed):
        return False
    return "SPECIAL-USE" not in selection or (
        one.mailbox is not None and one.mailbox.special_use is not None and not one.shared
    )


def _parents_of_chosen(every: list[Named], options: Options) -> frozenset[str]:
    found: set[str] = set()
    for one in every:
        if one.mailbox is not None and _chosen(one, options.selection):
            levels = one.name.split(SEPARATOR)
            found.update(SEPARATOR.join(levels[:count]) for count in range(1, len(levels)))
    return frozenset(found)


def _line(
    one: Named, verb: bytes, options: Options, name: bytes, *, has_children: bool, above: bool
) -> bytes:
    marks = []
    if one.mailbox is None:
        marks.append("\\NonExistent" if options.extended else "\\Noselect")
    if (
        "SUBSCRIBED" in options.returns | options.selection
        and one.mailbox is not None
        and one.mailbox.subscribed
    ):
        marks.append("\\Subscribed")
    marks.append("\\HasChildren" if has_children else "\\HasNoChildren")
    if one.mailbox is not None and one.mailbox.special_use and not one.shared:
        marks.append(one.mailbox.special_use)
    if verb == b"XLIST" and one.name == "INBOX":
        marks.append("\\Inbox")
    chosen_by = " ".join(
        f'"{option}"' for option in ("SUBSCRIBED", "SPECIAL-USE") if option in options.selection
    )
    info = f' ("CHILDINFO" ({chosen_by}))'.encode() if above and chosen_by else b""
    return b'* %b (%b) "/" %b%b\r\n' % (verb, " ".join(marks).encode(), name, info)


def matcher(patterns: list[str]) -> Callable[[str], bool]:
    """Whether a name matches one of the patterns: ``*`` is anything, ``%`` anything within one level."""
    tests = [_single(one) for one in patterns]
    return lambda name: any(test(name) for test in tests)


def _single(pattern: str) -> Callable[[str], bool]:
    if pattern[:5].upper() == "INBOX" and pattern[5:6] in ("", SEPARATOR, "*", "%"):
        pattern = "INBOX" + pattern[5:]
    if pattern == "*":
        return lambda name: True
    wildcards = sum(pattern.count(one) for one in "*%")
    if wildcards > _FEW_WILDCARDS:
        return lambda name: _slow_match(pattern, name)
    pieces = [".*" if one == "*" else f"[^{SEPARATOR}]*" if one == "%" else re.escape(one) for one in pattern]
    expression = re.compile("".join(pieces) + r"\Z", re.DOTALL)
    return lambda name: expression.match(name) is not None


def _slow_match(pattern: str, name: str) -> bool:
    """The same without backtracking: the set of reached pattern positions, letter by letter."""
    reached = _open({0}, pattern)
    for letter in name:
        after: set[int] = set()
        for at in reached:
            if at == len(pattern):
                continue
            one = pattern[at]
            if one == "*" or (one == "%" and letter != SEPARATOR):
                after.add(at)
            elif one == letter and one != "%":
                after.add(at + 1)
        reached = _open(after, pattern)
        if not reached:
            return False
    return len(pattern) in reached


def _open(reached: set[int], pattern: str) -> set[int]:
    found = set(reached)
    for at in reached:
        while at < len(pattern) and pattern[at] in "*%":
            at += 1
            found.add(at)
    return found
