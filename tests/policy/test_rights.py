# SPDX-License-Identifier: AGPL-3.0-or-later
"""The table of rights: what must be, what must never be."""

from __future__ import annotations

import pytest

from policy.rights import ACTS, RELATIONS, ROLES, Act, Forbidden, Relation, may, relation, require


@pytest.mark.parametrize(
    ("role", "act", "to"),
    [
        ("civil-servant", "mail.read.own", "own"),
        ("clerk", "registry.read", "same-agency"),
        ("clerk", "document.issue", "same-agency"),
        ("clerk", "document.accept", "same-agency"),
        ("leader", "document.sign", "same-agency"),
        ("leader", "document.read", "same-agency"),
        ("auditor", "audit.read", "none"),
        ("auditor", "register.read", "other"),
        ("agency-officer", "account.manage", "same-agency"),
        ("system-officer", "system.operate", "none"),
    ],
)
def test_may(role: str, act: Act, to: Relation) -> None:
    assert may(role, act, to)
    require(role, act, to)


@pytest.mark.parametrize(
    ("role", "act", "to"),
    [
        ("civil-servant", "registry.read", "same-agency"),
        ("civil-servant", "document.read", "same-agency"),
        ("clerk", "document.sign", "same-agency"),
        ("leader", "document.issue", "same-agency"),
        ("clerk", "document.issue", "other"),
        ("system-officer", "document.read", "own"),
        ("system-officer", "registry.read", "same-agency"),
        ("agency-officer", "account.manage", "other"),
        ("auditor", "document.issue", "same-agency"),
        ("auditor", "registry.write", "own"),
        ("nobody", "mail.read.own", "own"),
        ("", "rules.read", "own"),
    ],
)
def test_may_not(role: str, act: Act, to: Relation) -> None:
    assert not may(role, act, to)
    with pytest.raises(Forbidden):
        require(role, act, to)


def test_every_act_has_somebody_and_mail_is_nobody_elses() -> None:
    for act in ACTS:
        assert any(may(role, act, to) for role in ROLES for to in RELATIONS), act
    for role in ROLES:
        for to in set(RELATIONS) - {"own", "deputy"}:
            assert not may(role, "mail.read.own", to)
        assert not may(role, "document.issue", "other")
        assert not may(role, "document.read", "other")


def test_relation() -> None:
    assert relation("H12.01", "H12.01") == "same-agency"
    assert relation("H12.01", "H12.02") == "other"
    assert relation(None, "H12.02") == "none"
    assert relation("H12.01", None, own=True) == "own"
