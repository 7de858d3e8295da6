# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every rule has a case that complies and one that does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from policy.facts import Attachment, Competence, Facts, Recipient
from policy.judge import judge
from policy.rule import RULES
from policy.rulebook import load, parse
from tests.policy.cases import (
    AGAINST,
    DAY,
    DRAFT,
    GMAIL,
    GOOD,
    ISSUED,
    MAIL,
    PERSON,
    RECEIVED,
    SEAL,
    SENT,
    from_outside,
    packet,
    powers,
    signed,
)

BOOK = load()


@pytest.mark.parametrize(
    "facts",
    [
        from_outside(),
        from_outside(dmarc="fail", policy="quarantine"),
        from_outside(dmarc="pass", proved=True, claims_ours=True),
    ],
)
def test_what_comes_from_outside_and_is_not_forged_passes(facts: Facts) -> None:
    assert judge(facts, BOOK).verdict == "pass"


def said(rule_id: str, facts: Facts) -> str | None:
    return next((one.severity for one in judge(facts, BOOK).findings if one.rule_id == rule_id), None)


@pytest.mark.parametrize("facts", GOOD, ids=lambda one: f"{type(one).__name__} {one.moment}")
def test_what_complies_passes(facts: Facts) -> None:
    decision = judge(facts, BOOK)
    assert decision.verdict == "pass", decision


@pytest.mark.parametrize("rule_id", RULES)
def test_every_rule_speaks_against_something(rule_id: str) -> None:
    assert AGAINST.get(rule_id), f"{rule_id} has no case"
    for facts, severity in AGAINST[rule_id]:
        assert said(rule_id, facts) == severity, (rule_id, facts)


def test_more_that_complies() -> None:
    quiet: list[tuple[str, Facts]] = [
        ("R-NUM-06", replace(ISSUED, kind="Công văn", kind_abbreviation=None, notation="VP-TH")),
        ("R-NUM-06", replace(ISSUED, kind="Thông báo", notation="TB-VP", agency_short="VP")),
        ("R-NUM-07", replace(ISSUED, number="05", notation="TTr-VP")),
        ("R-NUM-07", replace(ISSUED, number="31", notation="2021/QĐ-UBND", normative=True)),
        ("R-SIG-06", powers(Competence(True, "TUQ.", "GUQ 1", date(2026, 1, 1), DAY, "tài chính"))),
        ("R-ISS-01", replace(DRAFT, kind="Quyết định (cá biệt)")),
        ("R-REC-11", packet(replace(RECEIVED, already_registered=True), business_type="1")),
        (
            "R-REC-13",
            replace(
                MAIL,
                attachments=(
                    Attachment(
                        "a.docx",
                        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                        "application/zip",
                    ),
                ),
            ),
        ),
        ("R-MAIL-01", replace(MAIL, sender_is_ours=False, recipients=(GMAIL,))),
        ("R-MAIL-01", replace(MAIL, recipients=(Recipient("x@notgmail.com", "notgmail.com"),))),
        ("R-MAIL-08", replace(MAIL, recipients=MAIL.recipients * 300, sender_role="registry")),
        ("R-MET-05", packet(SENT, from_codes=("000.00.01.H12",))),
    ]
    for rule_id, facts in quiet:
        assert said(rule_id, facts) is None, (rule_id, facts)


def test_a_document_is_judged_by_the_law_of_its_day() -> None:
    old = replace(powers(None), date_local=date(2019, 5, 5), dated=date(2019, 5, 5))
    assert said("R-SIG-05", old) is None
    secret = replace(SENT, secrecy="Mật")
    before = judge(replace(secret, date_local=date(2026, 2, 28)), BOOK).findings[0]
    after = judge(replace(secret, date_local=date(2026, 3, 1)), BOOK).findings[0]
    assert (
        before.basis
        == "Luật Bảo vệ bí mật nhà nước 29/2018/QH14, Điều 5(6), 5(9); Quyết định 28/2018/QĐ-TTg, Điều 1(2)"
    )
    assert before.basis_status == "read"
    assert after.basis.startswith("Luật Bảo vệ bí mật nhà nước 117/2025/QH15 (căn cứ chưa đối chiếu)")
    assert after.basis_status == "unconfirmed"
    stamp = signed(PERSON, replace(SEAL, timestamped=False), on=SENT)
    for day, cited in ((date(2026, 11, 14), True), (DAY, False)):
        findings = judge(replace(stamp, date_local=day), BOOK).findings
        [basis] = [one.basis for one in findings if one.rule_id == "R-SIG-15"]
        assert ("41/2017" in basis) == cited


def test_a_rule_that_fails_blocks_and_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(MAIL, recipients=None)  # type: ignore[arg-type]
    decision = judge(broken, BOOK)
    assert decision.verdict == "block"
    assert decision.findings[0].rule_id.startswith("R-MAIL")
    assert "TypeError" in decision.findings[0].en


def test_a_milder_rulebook_is_milder() -> None:
    book = parse('[[rule]]\nid = "R-NUM-04"\nseverity = "warn"\n')
    assert judge(replace(ISSUED, numbering=None), book).verdict == "warn"
    book = parse(
        '[[rule]]\nid = "R-MAIL-01"\nseverity = "block"\nparameters = { public_domains = ["x.example"] }\n'
    )
    assert judge(replace(MAIL, recipients=(GMAIL,)), book).verdict == "pass"
    assert judge(replace(MAIL, recipients=(Recipient("a@x.example", "x.example"),)), book).verdict == "block"
