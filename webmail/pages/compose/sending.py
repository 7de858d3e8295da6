# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the rules say of a letter before it goes, and the way to the one door.

At the pages a warning asks for a reason, which is recorded; a hold or block is refused with its rule, unless the
rule itself lets the letter pass with a recorded reason: then the reason is asked for too (DESIGN 4.9).
"""

from __future__ import annotations

from dataclasses import dataclass

from config.clock import now_us
from config.refusal import Refused
from mailserver.delivery import Incoming, Outcome, Recipient, lent_addresses
from mailserver.facts import mail_facts
from mailserver.message import scan
from mailserver.store import ANSWERED, DRAFT, SEEN, Ref
from policy.judge import Decision, Finding, judge
from webmail import frame
from webmail.pages.compose import forms, queries, securing
from webmail.pages.compose.forms import Upload, Writing
from webmail.pages.compose.message import Content, built
from webmail.pages.mail.places import Place, place_called, sibling
from webmail.pages.mail.queries import may_send_as, place, places
from webmail.pages.scheduled import forms as when

_SPEAKING = ("warn", "hold", "block")


class AsksReason(Exception):
    """The rules let the letter pass only with a reason."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("a reason is needed")
        self.findings = findings


class Stopped(Exception):
    """The rules stop the letter; ``refusal`` is what the door said, and what was recorded."""

    def __init__(self, findings: tuple[Finding, ...], refusal: Refused) -> None:
        super().__init__(refusal.code)
        self.findings = findings
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Ready:
    """A letter ready for the door."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    uploads: tuple[Upload, ...]


def prepare(writing: Writing) -> Ready:
    """The letter as bytes. Raises `Refused` for recipients, files or a sender that can't be."""
    own = may_send_as(frame.account())
    sender = writing.sender if writing.sender in own else own[0]
    to, cc = forms.recipients(writing.to), forms.recipients(writing.cc)
    accounts = frame.parts().accounts
    known, account = accounts.by_address(sender), frame.account()
    behalf = lent_addresses(accounts, account).get(sender) == "behalf"
    uploads = (*(queries.kept_file(one) for one in writing.kept), *writing.files)
    content = Content(
        sender=(known.name if known is not None else "", sender),
        to=[_named(*one) for one in to],
        cc=[_named(*one) for one in cc],
        subject=writing.subject,
        body=writing.body,
        files=uploads,
        thread=queries.thread(writing.answered),
        real_sender=(account.name, account.address) if behalf else None,
    )
    data = built(content, frame.parts().settings.installation.tls_name)
    addresses = tuple(dict.fromkeys(address for _, address in (*to, *cc)))
    return Ready(sender, addresses, data, uploads)


def send(writing: Writing, ready: Ready) -> Outcome:
    """Put the letter through the door; it waits there to be taken back. Raises `AsksReason`, `Stopped`, `Refused`."""
    parts, account = frame.parts(), frame.account()
    wanted = parts.settings.submission
    until = when.moment(writing.later, wanted.later_days)
    if until is None and wanted.undo_seconds > 0:
        until = now_us() + wanted.undo_seconds * 1_000_000
    decision = _judged(ready, writing.reason)
    speaking = tuple(one for one in decision.findings if one.severity in _SPEAKING)
    if speaking and not writing.reason and (decision.passes or _judged(ready, "?").passes):
        raise AsksReason(speaking)
    incoming = Incoming(
        sender=ready.sender,
        recipients=tuple(Recipient(one) for one in ready.recipients),
        data=_secured(writing, ready),
        door="page",
        account=account,
        reason=writing.reason or None,
        sent_copy=_sent_of(ready.sender),
        not_before_us=until,
    )
    try:
        outcome = frame.wait(parts.delivery.deliver(incoming))
    except Refused as refusal:
        if refusal.rule is not None:
            raise Stopped(speaking, refusal) from refusal
        raise
    _afterwards(writing)
    return outcome


def _secured(writing: Writing, ready: Ready) -> bytes:
    """The letter as it leaves: signed and encrypted when that was chosen. Raises `Refused`."""
    if not writing.sign and not writing.encrypt:
        return ready.data
    exchange, account = frame.parts().exchange, frame.account()
    return securing.secured(
        exchange, account, ready.sender, ready.recipients, ready.data, encrypt=writing.encrypt
    )


def keep_draft(writing: Writing, ready: Ready) -> int:
    """Keep the letter with its files among the drafts in place of the older draft; returns its UID."""
    store, drafts = frame.parts().store, place("drafts").box.ref
    uid = frame.wait(store.append(drafts, ready.data, DRAFT | SEEN, now_us()))
    if writing.draft is not None:
        frame.wait(store.discard(drafts, [writing.draft]))
    return uid


def _judged(ready: Ready, reason: str) -> Decision:
    parts, account = frame.parts(), frame.account()
    facts = mail_facts(
        ready.data,
        scan(ready.data),
        door="page",
        sender=ready.sender,
        recipients=ready.recipients,
        accounts=parts.accounts,
        account=account,
        reason=reason or None,
    )
    return judge(facts, parts.delivery.rulebook)


def _sent_of(sender: str) -> Ref:
    """Where the copy goes: a letter in another's name leaves it with that mailbox."""
    parts = frame.parts()
    owner = parts.accounts.by_address(sender)
    if sender != frame.account().address and owner is not None:
        found = parts.store.find_use(owner.ref, "\\Sent")
        if found is not None:
            return found
    inbox: Place = place_called(places(), "inbox")
    return sibling(places(), inbox, "sent").box.ref


def _afterwards(writing: Writing) -> None:
    store = frame.parts().store
    if writing.draft is not None:
        frame.wait(store.discard(place("drafts").box.ref, [writing.draft]))
    if writing.answered is not None and writing.answered.how != "forward":
        ref = place(writing.answered.mailbox).box.ref
        frame.wait(store.set_flags(ref, [writing.answered.uid], "add", ANSWERED))


def _named(name: str, address: str) -> tuple[str, str]:
    known = frame.parts().accounts.by_address(address)
    return (known.name if known is not None else name, address)
