# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is asked of a message before the transaction: whose From it is, what the rules say."""

from __future__ import annotations

from config.refusal import Refused
from mailserver.accounts import Account, Accounts, delegations
from mailserver.delivery.incoming import Door, Incoming
from mailserver.facts import mail_facts
from mailserver.hygiene import Verdict
from mailserver.message import Summary
from policy.facts import Door as RuleDoor
from policy.facts import SenderFacts
from policy.judge import Decision, judge
from policy.rights import may, relation
from policy.rulebook import Rulebook

_RULE_DOORS: dict[Door, RuleDoor] = {
    "mx": "mx",
    "submission": "submission",
    "page": "page",
    "api": "api",
}


def own_addresses(accounts: Accounts, account: Account) -> list[str]:
    """The addresses an account may send as: its own first, then those given to it."""
    return [account.address, *lent_addresses(accounts, account)]


def lent_addresses(accounts: Accounts, account: Account) -> dict[str, str]:
    """Addresses of others that an account may send from now, each with ``as`` or ``behalf``.

    The registry's for a clerk, shared addresses by their list, those of people by delegation.
    """
    found: dict[str, str] = {}
    home = accounts.agency(account.agency_code)
    if home is not None and may(account.role, "registry.write", relation(account.agency_code, home.code)):
        found[home.registry_address] = "as"
    found |= dict.fromkeys(accounts.lent_to(account), "as")
    return found | delegations.sent_by(accounts, account)


def check_from(accounts: Accounts, incoming: Incoming, summary: Summary) -> str:
    """The sender owns its From, or may use it; returns how: ``own``, ``as`` or ``behalf``. Raises `Refused`.

    A message on behalf of somebody names its real sender in Sender (RFC 5322 §3.6.2): whoever hands it over puts
    the field there, here it is only checked.
    """
    if incoming.account is None:
        return "own"
    lent = lent_addresses(accounts, incoming.account)
    own = [incoming.account.address, *lent]
    written = [one.address.lower() for one in summary.from_]
    if len(written) != 1 or written[0] not in own or incoming.sender.lower() not in own:
        shown = written[0] if written else "?"
        raise Refused(
            "not-your-address",
            f"Không được gửi bằng địa chỉ {shown}. Địa chỉ được dùng: {', '.join(own)}.",
            f"You may not send as {shown}. Addresses you may use: {', '.join(own)}.",
        )
    named = [one.address.lower() for one in summary.sender]
    if named and any(one not in own for one in named):
        raise Refused(
            "not-your-address",
            f"Không được ghi người gửi (Sender) là {named[0]}.",
            f"You may not name {named[0]} as the Sender.",
        )
    how = lent.get(written[0], "own")
    if how == "behalf" and named != [incoming.account.address]:
        raise Refused(
            "sender-missing",
            f"Thư gửi thay {written[0]} phải ghi người gửi thật (Sender: {incoming.account.address}).",
            f"Mail on behalf of {written[0]} must name its sender (Sender: {incoming.account.address}).",
        )
    return how


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
        malware=verdict.malware or None,
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
        bool(verdict.author) and accounts.home_of_domain(verdict.author) is not None,
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
