# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is asked of a message before the transaction: whose From it is, what the rules say."""

from __future__ import annotations

from config.refusal import Refused
from mailserver.accounts import Account, Accounts
from mailserver.delivery.incoming import Door, Incoming
from mailserver.facts import mail_facts
from mailserver.hygiene import Verdict
from mailserver.message import Summary
from policy.facts import Door as RuleDoor
from policy.facts import SenderFacts
from policy.judge import Decision, judge
from policy.rulebook import Rulebook

_RULE_DOORS: dict[Door, RuleDoor] = {
    "mx": "mx",
    "submission": "submission",
    "page": "page",
    "api": "api",
}


def own_addresses(accounts: Accounts, account: Account) -> list[str]:
    """The addresses an account may send as."""
    own = [account.address]
    if account.role == "clerk":
        home = accounts.agency(account.agency_code)
        if home is not None:
            own.append(home.registry_address)
    return own


def check_from(accounts: Accounts, incoming: Incoming, summary: Summary) -> None:
    """The sender owns its From: its own address, or the registry's for a clerk. Raises `Refused`."""
    if incoming.account is None:
        return
    own = own_addresses(accounts, incoming.account)
    written = [one.address.lower() for one in summary.from_]
    if len(written) != 1 or written[0] not in own or incoming.sender.lower() not in own:
        shown = written[0] if written else "?"
        raise Refused(
            "not-your-address",
            f"Không được gửi bằng địa chỉ {shown}. Địa chỉ được dùng: {', '.join(own)}.",
            f"You may not send as {shown}. Addresses you may use: {', '.join(own)}.",
        )


def decide(
    accounts: Accounts,
    rulebook: Rulebook,
    incoming: Incoming,
    data: bytes,
    summary: Summary,
    verdict: Verdict,
) -> Decision | None:
    """What the rules say; None for mail that they don't judge."""
    door = _RULE_DOORS.get(incoming.door)
    if door is None:
        return None
    facts = mail_facts(
        data,
        summary,
        door=door,
        sender=incoming.sender,
        recipients=[one.address for one in incoming.recipients],
        accounts=accounts,
        account=incoming.account,
        reason=incoming.reason,
        moment="receive" if door == "mx" else "send",
        sender_check=_sender(accounts, verdict),
        scanned=verdict.scan,
    )
    return judge(facts, rulebook)


def _sender(accounts: Accounts, verdict: Verdict) -> SenderFacts | None:
    if verdict.sender == "not-checked":
        return None
    return SenderFacts(
        verdict.author or None,
        verdict.sender == "proved",
        verdict.dmarc,
        verdict.policy,
        verdict.spf,
        verdict.odd_label or None,
        bool(verdict.author) and accounts.agency_of_domain(verdict.author) is not None,
    )


def refusal_of(decision: Decision) -> Refused:
    """The refusal that says what the deciding rules say."""
    speaking = [one for one in decision.findings if one.severity in ("hold", "block")]
    first = speaking[0]
    return Refused(
        "rule",
        " ".join(f"[{one.rule_id}] {one.vi} ({one.basis})" for one in speaking),
        " ".join(f"[{one.rule_id}] {one.en} ({one.basis})" for one in speaking),
        rule=first.rule_id,
    )
