# SPDX-License-Identifier: AGPL-3.0-or-later
"""Asking the recipients' filters before the transaction (DESIGN §2), and the receipts of registry mailboxes.

What a script wants becomes places, redirections and answers, which the one transaction writes together with the
message. A letter that scripts threw away for everybody is still a ledger entry.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from config.clock import iso_local, now_us
from config.settings import Filters
from mailserver.accounts import Account, AccountRef, Accounts
from mailserver.delivery import replying
from mailserver.delivery.incoming import Incoming
from mailserver.delivery.judge import own_addresses
from mailserver.delivery.plan import Plan
from mailserver.delivery.replying import Reply
from mailserver.message import Summary
from mailserver.sieve import FileInto, Letter, Ran, Redirect, Reject, Vacation, answered, run
from mailserver.sieve.scripts import Scripts
from mailserver.store import Store, blobs

log = logging.getLogger("congvan.sieve")
_DAY_S = 86_400.0


@dataclass(slots=True)
class Filtered:
    """What scripts made of a plan: ``filed`` places instead of the inbox, ``redirected`` by whom, ``replies``."""

    filed: list[tuple[AccountRef, FileInto]] = field(default_factory=list)
    redirected: list[tuple[Account, str]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    discarded: int = 0


class Filter:
    """Asks the scripts of one installation."""

    def __init__(self, store: Store, accounts: Accounts, settings: Filters) -> None:
        self._store = store
        self._accounts = accounts
        self._settings = settings
        self._scripts = Scripts(store.database, store.seal)

    def concerns(self, plan: Plan, incoming: Incoming) -> bool:
        """Whether `ask` would have anything to do: most letters meet no script."""
        if incoming.door == "bounce":
            return False
        active = self._scripts.active()
        if active and any(one in active for one in plan.local):
            return True
        if (
            not self._gives_receipts(incoming)
            or not incoming.sender
            or self._accounts.is_ours(incoming.sender)
        ):
            return False
        accounts = (self._accounts.by_ref(one) for one in plan.local)
        return any(one is not None and one.role == "registry" for one in accounts)

    def ask(self, plan: Plan, incoming: Incoming, summary: Summary) -> Filtered:
        """Take the accounts with scripts out of ``plan.local`` and say what becomes of their copies."""
        found = Filtered()
        active = self._scripts.active()
        left: list[AccountRef] = []
        for ref in plan.local:
            account = self._accounts.by_ref(ref)
            if account is None:
                left.append(ref)
                continue
            letter = Letter(incoming.data, summary, incoming.sender, plan.aimed.get(ref, account.address))
            if account.role == "registry":
                self._receipt(account, letter, incoming, found)
            program = self._scripts.program(ref) if ref in active else None
            if program is None:
                left.append(ref)
                continue
            ran = run(program, letter, now_us(), mailbox_exists=lambda name, o=ref: self._has(o, name))  # type: ignore[misc]
            if ran.error:
                log.warning("a script of account %s.%s was left: %s", *ref, ran.error)
            self._take(account, letter, ran, incoming, found)
        plan.local[:] = left
        return found

    def _has(self, owner: AccountRef, name: str) -> bool:
        return self._store.find(owner, name) is not None

    def _take(self, account: Account, letter: Letter, ran: Ran, incoming: Incoming, found: Filtered) -> None:
        kept = False
        looped = any(one.lower() == account.address for one in letter.header("delivered-to"))
        for action in ran.actions:
            match action:
                case FileInto():
                    found.filed.append((account.ref, action))
                    kept = True
                case Redirect(address):
                    if looped or not self._may_redirect(address):
                        log.warning("a redirection of account %s.%s is not followed", *account.ref)
                    elif any(one == address for _, one in found.redirected):
                        kept = True  # somebody else's script sends the same letter there already
                    else:
                        found.redirected.append((account, address))
                        kept = True
                case Reject(reason):
                    kept = self._reject(account, letter, reason, incoming, found)
                case Vacation():
                    self._vacation(account, letter, action, found)
        if not kept and any(isinstance(one, (Redirect, Reject)) for one in ran.actions):
            found.filed.append(
                (account.ref, FileInto("INBOX"))
            )  # what can't be done must not lose the letter
        elif not kept:
            found.discarded += 1

    def _may_redirect(self, address: str) -> bool:
        """Inside always (when there is somebody), outside by setting."""
        if self._accounts.is_ours(address):
            return (
                self._accounts.by_address(address) is not None or self._accounts.shared(address) is not None
            )
        return self._settings.redirect_outside

    def _reject(
        self, account: Account, letter: Letter, reason: str, incoming: Incoming, found: Filtered
    ) -> bool:
        """RFC 5429 §2.1.1: who may not be answered gets no notice, and the letter is kept then."""
        if not replying.answerable(letter, {account.address}):
            return False
        text = (
            f"Thư của anh/chị gửi {account.address} không được người nhận tiếp nhận:\n\n{reason}\n\n----\n"
            f"Your message to {account.address} was refused by the recipient:\n\n{reason}\n"
        )
        subject = f"Thư không được tiếp nhận / Message refused: {letter.summary.subject}"
        data = replying.written(letter, sender=(account.name, account.address), subject=subject, text=text)
        found.replies.append(Reply(account.ref, letter.sender, blobs.prepare(self._store.seal, data)))
        found.discarded += 1
        return True

    def _vacation(self, account: Account, letter: Letter, asked: Vacation, found: Filtered) -> None:
        own = {account.address, *own_addresses(self._accounts, account), *asked.addresses}
        if not replying.answerable(letter, own) or not replying.addressed(letter, own):
            return
        sender = asked.sender.strip("<> ").lower()
        address = sender if sender in own_addresses(self._accounts, account) else account.address
        whom = answered.key(self._store.seal, f"vacation {asked.handle or asked.reason}", letter.sender)
        with self._store.database.reading() as conn:
            if answered.known(conn, account.ref, whom):
                return
        data = replying.written(
            letter,
            sender=(account.name, address),
            subject=replying.subject_of(letter, asked.subject),
            text=asked.reason,
            mime=asked.mime,
        )
        prepared = blobs.prepare(self._store.seal, data)
        found.replies.append(Reply(account.ref, letter.sender, prepared, whom, asked.days * _DAY_S))

    # --- receipts of registry mailboxes

    def _gives_receipts(self, incoming: Incoming) -> bool:
        return incoming.door == "mx" and self._settings.receipt_hours > 0

    def _receipt(self, registry: Account, letter: Letter, incoming: Incoming, found: Filtered) -> None:
        """A citizen who writes to an agency is told that the letter arrived; official systems are not answered."""
        outside = not self._accounts.is_ours(letter.sender)
        if not (self._gives_receipts(incoming) and outside) or not replying.answerable(
            letter, {registry.address}
        ):
            return
        hours = self._settings.receipt_hours
        whom = answered.key(self._store.seal, "receipt", letter.sender)
        with self._store.database.reading() as conn:
            if answered.known(conn, registry.ref, whom):
                return
        now = iso_local(now_us())
        subject = letter.summary.subject
        text = (
            f"{registry.agency_name} đã nhận được thư của Ông/Bà lúc {now}.\n"
            f"Tiêu đề: {subject}\n\n"
            "Đây là thư tự động của hộp thư văn thư; thư chưa có nghĩa là yêu cầu đã được giải quyết. "
            f"Trong {hours} giờ tới, các thư khác của Ông/Bà gửi đến hộp thư này vẫn được nhận nhưng không có thư báo.\n\n"
            f"----\n{registry.agency_name} has received your message at {now}.\nSubject: {subject}\n\n"
            "This is an automatic message; it does not mean that your request has been handled. Further messages "
            f"within {hours} hours are received without a notice.\n"
        )
        data = replying.written(
            letter,
            sender=(registry.agency_name, registry.address),
            subject=f"Đã nhận thư / Received: {subject}",
            text=text,
        )
        prepared = blobs.prepare(self._store.seal, data)
        most = self._settings.receipts_at_most
        found.replies.append(Reply(registry.ref, letter.sender, prepared, whom, hours * 3600.0, most))
