# SPDX-License-Identifier: AGPL-3.0-or-later
"""The rules of the page, written as a script and read back; a person's words are only ever quoted strings (S15).

The rules themselves stand as JSON in the script's first comment, so that the page finds them again; a script that a
person wrote by hand has none and is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from mailserver.sieve.program import compiled

NAME = "congvan"
"""The script that the pages write."""

FIELDS = ("from", "to", "subject")
_MARK = "# congvan-rules: "
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Condition:
    """``field`` (from, to, subject) holds ``text``."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions hold: file into ``folder``, flag it, mark it read, send a copy on to ``forward``."""

    name: str
    conditions: tuple[Condition, ...]
    folder: str = ""
    flag: bool = False
    read: bool = False
    forward: str = ""
    last: bool = True


@dataclass(frozen=True, slots=True)
class Away:
    """An answer while somebody is away, from ``first`` to ``last`` day (both included)."""

    first: date
    last: date
    subject: str
    text: str
    days: int = 3


def written(rules: Sequence[Rule], away: Away | None = None) -> str:
    """The script. Raises `BadScript` when it would be too long."""
    told = {"rules": [asdict(one) for one in rules], "away": None if away is None else _plain(away)}
    lines = [_MARK + json.dumps(told, ensure_ascii=True)]
    lines.append(
        'require ["fileinto", "copy", "imap4flags", "mailbox", "vacation", "date", "relational",'
        ' "comparator-i;unicode-casemap"];'
    )
    if away is not None:
        first, last = quoted(away.first.isoformat()), quoted(away.last.isoformat())
        lines += [
            f'if allof (currentdate :zone "+0700" :value "ge" "date" {first},',
            f'          currentdate :zone "+0700" :value "le" "date" {last}) {{',
            f"  vacation :days {away.days} :subject {quoted(away.subject)} :handle {quoted('away ' + first)}",
            f"    {quoted(away.text, lines=True)};",
            "}",
        ]
    for one in rules:
        lines += _rule(one)
    script = "\r\n".join(lines) + "\r\n"
    compiled(script)
    return script


def read(script: str) -> tuple[list[Rule], Away | None] | None:
    """The rules that `written` wrote; None for a script of another origin."""
    if not script.startswith(_MARK):
        return None
    try:
        told: dict[str, Any] = json.loads(script[len(_MARK) :].partition("\n")[0])
        rules = [
            Rule(**{**one, "conditions": tuple(Condition(**part) for part in one["conditions"])})
            for one in told["rules"]
        ]
        away = told["away"]
        if away is None:
            return rules, None
        first, last = date.fromisoformat(away.pop("first")), date.fromisoformat(away.pop("last"))
        return rules, Away(first=first, last=last, **away)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def quoted(text: str, *, lines: bool = False) -> str:
    """``text`` as a quoted string (RFC 5228 §2.4.2); line ends stay only with ``lines``."""
    if lines:
        text = "\r\n".join(_CONTROL.sub(" ", one) for one in text.replace("\r\n", "\n").split("\n"))
    else:
        text = _CONTROL.sub(" ", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _rule(one: Rule) -> list[str]:
    tests = ", ".join(_test(part) for part in one.conditions)
    flags = [name for name, wanted in (('"\\\\Flagged"', one.flag), ('"\\\\Seen"', one.read)) if wanted]
    lines = [f"if allof ({tests}) {{" if one.conditions else "if true {"]
    if flags:
        lines.append(f"  addflag [{', '.join(flags)}];")
    if one.forward:
        lines.append(f"  redirect :copy {quoted(one.forward)};")
    if one.folder:
        lines.append(f"  fileinto :create {quoted(one.folder)};")
    else:
        lines.append("  keep;")
    if one.last:
        lines.append("  stop;")
    return [*lines, "}"]


def _test(one: Condition) -> str:
    if one.field == "subject":
        return f'header :comparator "i;unicode-casemap" :contains "subject" {quoted(one.text)}'
    fields = '["to", "cc"]' if one.field == "to" else '"from"'
    return f'header :comparator "i;unicode-casemap" :contains {fields} {quoted(one.text)}'


def _plain(away: Away) -> dict[str, Any]:
    return {**asdict(away), "first": away.first.isoformat(), "last": away.last.isoformat()}
