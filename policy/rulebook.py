# SPDX-License-Identifier: AGPL-3.0-or-later
"""The rulebook: which rules hold, from when to when, how strict, with which parameters.

A TOML file of `[[rule]]` tables in the order of judging. A rule may stand there several times, with periods that
don't overlap. Loading is strict: whatever is not understood is an error that names its place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import policy.rules  # noqa: F401 - fills RULES
from config.refusal import Refused
from policy.facts import Moment
from policy.rule import RULES, SEVERITIES, Rule, Severity

_DAYS_KEPT = 64
_KEYS = {"id", "from", "to", "severity", "parameters"}


class RulebookWrong(Refused):
    """The rulebook can't be used; nothing is judged with half a rulebook."""

    def __init__(self, what: str) -> None:
        super().__init__("rulebook-wrong", f"Bộ quy tắc có lỗi: {what}.", f"The rulebook is wrong: {what}.")


@dataclass(frozen=True, slots=True)
class Holding:
    """A rule in one period: from `since` to before `until`."""

    rule: Rule
    since: date | None
    until: date | None
    moments: Mapping[Moment, Severity]
    parameters: Mapping[str, Any]

    def holds(self, day: date) -> bool:
        """Is `day` in the period?"""
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules of one installation, in order."""

    holdings: tuple[Holding, ...]
    name: str
    _asked: dict[tuple[Moment, date], tuple[tuple[Holding, Severity], ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def asked(self, moment: Moment, day: date) -> tuple[tuple[Holding, Severity], ...]:
        """The rules that hold on `day` and are asked at `moment`, with their severity there."""
        known = self._asked.get((moment, day))
        if known is None:
            known = tuple(
                (one, one.moments[moment])
                for one in self.holdings
                if moment in one.moments and one.holds(day)
            )
            if len(self._asked) >= _DAYS_KEPT:
                self._asked.clear()
            self._asked[moment, day] = known
        return known

    def of(self, rule_id: str) -> tuple[Holding, ...]:
        """All periods of one rule."""
        return tuple(one for one in self.holdings if one.rule.id == rule_id)


def load(path: Path | None = None) -> Rulebook:
    """The rulebook at `path`, or the one that is shipped. Raises `RulebookWrong`, or OSError."""
    if path is None:
        return parse(
            resources.files("config").joinpath("rulebook.toml").read_text("utf-8"), "config/rulebook.toml"
        )
    return parse(path.read_text("utf-8"), path.name)


def parse(text: str, name: str = "rulebook.toml") -> Rulebook:
    """Read a rulebook. Raises `RulebookWrong` with the number or id of the table that is wrong."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise RulebookWrong(f"{name}: {problem}") from None
    unknown = set(data) - {"rule"}
    tables = data.get("rule", [])
    if unknown or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise RulebookWrong(
            f"{name}: only [[rule]] tables may stand here, not {', '.join(sorted(unknown)) or 'rule'}"
        )
    holdings = tuple(_holding(number, table) for number, table in enumerate(tables, 1))
    _no_overlaps(holdings)
    return Rulebook(holdings, name)


def _holding(number: int, table: Mapping[str, Any]) -> Holding:
    rule = RULES.get(str(table.get("id")))
    where = f"rule {number} ({table.get('id', 'no id')})"
    if rule is None:
        raise RulebookWrong(f"{where}: there is no such rule")
    unknown = set(table) - _KEYS
    if unknown:
        raise RulebookWrong(f"{where}: unknown key {', '.join(sorted(unknown))}")
    since, until = _day(where, table, "from"), _day(where, table, "to")
    if since is not None and until is not None and since >= until:
        raise RulebookWrong(f"{where}: it ends before it begins")
    return Holding(
        rule,
        since,
        until,
        _severities(where, rule, table.get("severity")),
        _parameters(where, rule, table.get("parameters", {})),
    )


def _day(where: str, table: Mapping[str, Any], key: str) -> date | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise RulebookWrong(f"{where}: {key} is not a date like 2026-03-01")
    return value


def _severities(where: str, rule: Rule, given: object) -> Mapping[Moment, Severity]:
    """One word for all moments of the rule, or a table moment → word."""
    if given is None:
        return rule.moments
    if isinstance(given, str):
        return dict.fromkeys(rule.moments, _severity(where, given))
    if not isinstance(given, dict):
        raise RulebookWrong(f"{where}: severity is a word or a table")
    unknown = set(given) - set(rule.moments)
    if unknown:
        raise RulebookWrong(f"{where}: it is not asked at {', '.join(sorted(unknown))}")
    return {**rule.moments, **{moment: _severity(where, word) for moment, word in given.items()}}


def _severity(where: str, word: object) -> Severity:
    for known in SEVERITIES:
        if word == known:
            return known
    raise RulebookWrong(f"{where}: severity {word!r} is not one of {', '.join(SEVERITIES)}")


def _parameters(where: str, rule: Rule, given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise RulebookWrong(f"{where}: parameters is a table")
    values = dict(rule.parameters)
    for name, value in given.items():
        default = rule.parameters.get(name)
        if name not in rule.parameters:
            raise RulebookWrong(f"{where}: it has no parameter {name}")
        if isinstance(default, tuple):
            if not isinstance(value, list) or not all(isinstance(item, type(default[0])) for item in value):
                raise RulebookWrong(f"{where}: parameter {name} is a list of {type(default[0]).__name__}")
            value = tuple(value)
        elif type(value) is not type(default):
            raise RulebookWrong(f"{where}: parameter {name} is of type {type(default).__name__}")
        values[name] = value
    return values


def _no_overlaps(holdings: tuple[Holding, ...]) -> None:
    seen: dict[str, list[Holding]] = {}
    for one in holdings:
        for other in seen.setdefault(one.rule.id, []):
            starts = max(one.since or date.min, other.since or date.min)
            if starts < min(one.until or date.max, other.until or date.max):
                raise RulebookWrong(f"rule {one.rule.id}: two of its periods overlap")
        seen[one.rule.id].append(one)
