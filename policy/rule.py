# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a rule is: an id, when it is asked, how strict it is, what it rests on, and one small function that judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from policy.basis import Basis
from policy.facts import CertificateFacts, Content, DocumentFacts, Facts, MailFacts, Moment

Severity: TypeAlias = Literal["record", "warn", "hold", "block"]
SEVERITIES: tuple[Severity, ...] = ("record", "warn", "hold", "block")
Parameters: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says when it does not agree: what is wrong and how to comply.

    `severity` is given when this finding is stricter or milder than the rule is at that moment.
    """

    vi: str
    en: str
    severity: Severity | None = None


Check: TypeAlias = Callable[[Facts, Parameters], "Said | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of law/rules.md. `parameters` are its settings with their defaults."""

    id: str
    vi: str
    en: str
    moments: Mapping[Moment, Severity]
    bases: tuple[Basis, ...]
    check: Check
    parameters: Parameters


RULES: dict[str, Rule] = {}
"""Every rule there is, filled when policy.rules is imported."""


def document_rule(
    rule_id: str,
    vi: str,
    en: str,
    *,
    bases: tuple[Basis, ...],
    parameters: Parameters | None = None,
    **moments: Severity,
) -> Callable[[Callable[[DocumentFacts, Parameters], Said | None]], Check]:
    """Register a function as a rule on documents; `moments` are e.g. issue="block", receive="warn"."""

    def register(function: Callable[[DocumentFacts, Parameters], Said | None]) -> Check:
        def check(facts: Facts, settings: Parameters) -> Said | None:
            return function(facts, settings) if isinstance(facts, DocumentFacts) else None

        return _add(Rule(rule_id, vi, en, _moments(moments), bases, check, parameters or {}))

    return register


def mail_rule(
    rule_id: str,
    vi: str,
    en: str,
    *,
    bases: tuple[Basis, ...],
    parameters: Parameters | None = None,
    **moments: Severity,
) -> Callable[[Callable[[MailFacts, Parameters], Said | None]], Check]:
    """Register a function as a rule on mail."""

    def register(function: Callable[[MailFacts, Parameters], Said | None]) -> Check:
        def check(facts: Facts, settings: Parameters) -> Said | None:
            return function(facts, settings) if isinstance(facts, MailFacts) else None

        return _add(Rule(rule_id, vi, en, _moments(moments), bases, check, parameters or {}))

    return register


def certificate_rule(
    rule_id: str,
    vi: str,
    en: str,
    *,
    bases: tuple[Basis, ...],
    parameters: Parameters | None = None,
    **moments: Severity,
) -> Callable[[Callable[[CertificateFacts, Parameters], Said | None]], Check]:
    """Register a function as a rule on certificates."""

    def register(function: Callable[[CertificateFacts, Parameters], Said | None]) -> Check:
        def check(facts: Facts, settings: Parameters) -> Said | None:
            return function(facts, settings) if isinstance(facts, CertificateFacts) else None

        return _add(Rule(rule_id, vi, en, _moments(moments), bases, check, parameters or {}))

    return register


def common_rule(
    rule_id: str,
    vi: str,
    en: str,
    *,
    bases: tuple[Basis, ...],
    parameters: Parameters | None = None,
    **moments: Severity,
) -> Callable[[Callable[[Content, Parameters], Said | None]], Check]:
    """Register a function as a rule on mail and documents alike."""

    def register(function: Callable[[Content, Parameters], Said | None]) -> Check:
        def check(facts: Facts, settings: Parameters) -> Said | None:
            return None if isinstance(facts, CertificateFacts) else function(facts, settings)

        return _add(Rule(rule_id, vi, en, _moments(moments), bases, check, parameters or {}))

    return register


def _moments(given: Mapping[str, Severity]) -> dict[Moment, Severity]:
    known: tuple[Moment, ...] = ("compose", "issue", "sign", "send", "receive", "periodic")
    moments = {moment: given[moment] for moment in known if moment in given}
    if not moments or len(moments) != len(given):
        raise ValueError(f"not moments of a rule: {sorted(given)}")
    return moments


def _add(rule: Rule) -> Check:
    if rule.id in RULES:
        raise ValueError(f"two rules are called {rule.id}")
    RULES[rule.id] = rule
    return rule.check
