# SPDX-License-Identifier: AGPL-3.0-or-later
"""Facts and a rulebook give a decision: the verdict and every rule that spoke, with its basis. It never raises."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from config.clock import to_local
from config.refusal import Refused
from policy.basis import Status, shown
from policy.facts import Facts, MailFacts
from policy.rule import Said, Severity
from policy.rulebook import Holding, Rulebook

Verdict: TypeAlias = Literal["pass", "record", "warn", "hold", "block"]
_ORDER: dict[Verdict, int] = {"pass": 0, "record": 1, "warn": 2, "hold": 3, "block": 4}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule said. `basis` is the text to show; `basis_status` that of its weakest part."""

    rule_id: str
    severity: Severity
    basis: str
    basis_status: Status
    vi: str
    en: str

    def as_json(self) -> dict[str, str]:
        """One element of `rules` of `rules test --json` (DESIGN §5)."""
        return {
            "id": self.rule_id,
            "severity": self.severity,
            "basis": self.basis,
            "vi": self.vi,
            "en": self.en,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """The strictest severity that any rule spoke with, and all findings, strictest first."""

    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        """May it go on (pass, record, warn)?"""
        return _ORDER[self.verdict] < _ORDER["hold"]

    def as_json(self) -> dict[str, object]:
        """The object of `rules test --json`."""
        return {"verdict": self.verdict, "rules": [one.as_json() for one in self.findings]}

    def require(self) -> None:
        """Raise Refused with the words and the id of the strictest rule unless it passes."""
        if self.passes:
            return
        one = self.findings[0]
        raise Refused(
            f"rule-{self.verdict}",
            f"{one.rule_id}: {one.vi} ({one.basis})",
            f"{one.rule_id}: {one.en} ({one.basis})",
            rule=one.rule_id,
        )


def judge(facts: Facts, rulebook: Rulebook) -> Decision:
    """Ask every rule that holds on the day of the facts at their moment. A rule that fails blocks, by its name."""
    day = _day_of(facts.at_us) if isinstance(facts, MailFacts) else facts.date_local
    findings = [
        finding
        for holding, severity in rulebook.asked(facts.moment, day)
        if (finding := _ask(holding, severity, facts, day)) is not None
    ]
    findings.sort(key=lambda one: -_ORDER[one.severity])
    return Decision(findings[0].severity if findings else "pass", tuple(findings))


def _day_of(at_us: int) -> date:
    try:
        return to_local(at_us).date()
    except (ValueError, OverflowError, OSError):
        return date.max


def _ask(holding: Holding, severity: Severity, facts: Facts, day: date) -> Finding | None:
    rule = holding.rule
    try:
        said = rule.check(facts, holding.parameters)
    except Exception as problem:
        _log.exception("rule %s failed", rule.id)
        name = type(problem).__name__
        said = Said(
            f"Quy tắc {rule.id} không chạy được ({name}) nên chưa cho qua. Báo quản trị hệ thống.",
            f"Rule {rule.id} could not be asked ({name}), so it does not pass. Tell the system officer.",
            "block",
        )
    if said is None:
        return None
    basis, status = shown(rule.bases, day)
    return Finding(rule.id, _severity(said, severity, holding), basis, status, said.vi, said.en)


def _severity(said: Said, severity: Severity, holding: Holding) -> Severity:
    """A finding's own severity, unless the rulebook made the rule milder than the finding."""
    if said.severity is None:
        return severity
    overridden = holding.moments != holding.rule.moments and said.severity != "block"
    if overridden and _ORDER[said.severity] > _ORDER[severity]:
        return severity
    return said.severity
