# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one door by which a message gets in: ask the rules, then one transaction, then wake up (DESIGN §2).

`Delivery.deliver` returns only when everything it acknowledges is durable: blob, message rows, change
rows, outbound rows and ledger entries commit together or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import sqlalchemy as sa

from config.clock import now_us
from config.database import after_commit
from config.refusal import Refused
from mailserver.accounts import Account, AccountRef, Accounts
from mailserver.accounts.model import canonical
from mailserver.accounts.schema import next_number
from mailserver.facts import mail_facts
from mailserver.store import SEEN, Ref, Store, blobs, mailboxes, messages, outbound, schema
from policy.facts import Door as RuleDoor
from policy.judge import Decision, judge
from policy.ledger.entries import record
from policy.ledger.leaf import JSON
from policy.rulebook import Rulebook

log = logging.getLogger("congvan.delivery")

Door: TypeAlias = Literal["mx", "submission", "page", "api", "exchange", "bounce"]
"""``exchange`` and ``bounce`` are mail the installation writes itself; rules on mail don't judge it."""

_SPREAD_ABOVE = 200
_INLINE = 32 * 1024
"""Messages up to this size are examined in the event loop's thread: cheaper than handing them over."""
_QUARANTINE = "Cách ly"


@dataclass(frozen=True, slots=True)
class Recipient:
    """An envelope recipient with its DSN parameters (RFC 3461), "" when not given."""

    address: str
    notify: str = ""
    original: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message at the door. ``data`` is complete: trace fields are already in front of it.

    ``account`` is who signed in (submission, page, api). ``sent_copy`` puts a read copy into the sender's
    own mailbox in the same transaction. ``carry_all`` queues even our own recipients, so that they get
    the message by SMTP (official documents travel so). ``not_before_us`` delays outbound rows.
    """

    sender: str
    recipients: tuple[Recipient, ...]
    data: bytes
    door: Door
    client: str = ""
    account: Account | None = None
    reason: str | None = None
    envelope_id: str = ""
    sent_copy: Ref | None = None
    carry_all: bool = False
    not_before_us: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: the decision, the messages' places, how many rows were queued."""

    decision: Decision | None
    local: tuple[tuple[Ref, int], ...] = ()
    queued: int = 0
    spread: int = 0
    quarantined: bool = False
    digest: str = ""


@dataclass(slots=True)
class _Plan:
    local: list[AccountRef] = field(default_factory=list)
    remote: list[Recipient] = field(default_factory=list)


class Delivery:
    """Delivers into the store of one installation. Use from one event loop."""

    def __init__(self, store: Store, accounts: Accounts, rulebook: Rulebook, max_bytes: int) -> None:
        self.store = store
        self.accounts = accounts
        self.rulebook = rulebook
        self.max_bytes = max_bytes
        self._inboxes: dict[AccountRef, Ref] = {}  # INBOX can't be deleted or renamed away
        self._spreading: asyncio.Task[None] | None = None

    def recipient(self, address: str) -> Literal["local", "remote", "unknown"]:
        """What an address is to us, for the answer to RCPT."""
        if not self.accounts.is_ours(address):
            return "remote"
        found = self.accounts.by_address(address)
        return "local" if found is not None and found.state != "left" else "unknown"

    async def deliver(self, incoming: Incoming) -> Outcome:
        """Accept a message: when this returns, it is durable.

        Raises `Refused` with the rule's id when the rules hold or block it, for an unknown recipient, a
        From that is not the sender's, or a message too large; `Unavailable` when it can't be stored now.
        """
        if len(incoming.data) > self.max_bytes:
            raise Refused(
                "message-too-large",
                f"Thư lớn hơn {self.max_bytes // (1024 * 1024)} MB. Gửi tệp lớn bằng liên kết.",
                f"The message is larger than {self.max_bytes // (1024 * 1024)} MB. Send large files as a link.",
            )
        plan = self._plan(incoming)
        if len(incoming.data) <= _INLINE:
            prepared, decision = self._examine(incoming)
        else:
            prepared, decision = await asyncio.to_thread(self._examine, incoming)
        quarantined = False
        if decision is not None and decision.verdict in ("hold", "block"):
            if incoming.door == "mx" and decision.verdict == "hold":
                quarantined = True
                plan = _Plan(local=self._security_officers())
            else:
                await self._note_refusal(incoming, decision)
                raise refusal_of(decision)
        return await self._commit(incoming, plan, prepared, decision, quarantined)

    async def spread_all(self) -> None:
        """Finish spreading letters to many mailboxes, also after a crash (DESIGN 4.2)."""
        while await self.store.database.commit(self._spread_slice):
            pass

    # --- before the transaction

    def _plan(self, incoming: Incoming) -> _Plan:
        plan = _Plan()
        seen: set[str] = set()
        for one in incoming.recipients:
            address = canonical(one.address)
            if address in seen:
                continue
            seen.add(address)
            kind = self.recipient(address)
            if kind == "unknown":
                raise Refused(
                    "no-such-recipient",
                    f"Không có hộp thư {address}. Kiểm tra lại địa chỉ trong danh bạ.",
                    f"There is no mailbox {address}. Please check the address in the directory.",
                )
            if kind == "remote" and incoming.door == "mx":
                raise Refused(
                    "relay-denied",
                    "Máy chủ này không chuyển tiếp thư cho người ngoài. Hãy đăng nhập để gửi.",
                    "This server does not relay mail. Sign in to send.",
                )
            found = self.accounts.by_address(address)
            if found is None or incoming.carry_all:
                plan.remote.append(Recipient(address, one.notify, one.original))
            else:
                plan.local.append(found.ref)
        if not plan.local and not plan.remote:
            raise Refused("no-recipient", "Thư chưa có người nhận.", "The message has no recipient.")
        return plan

    def _examine(self, incoming: Incoming) -> tuple[blobs.Prepared, Decision | None]:
        """All that needs the bytes and no database: scan, seal, whose From it is, what the rules say."""
        prepared = blobs.prepare(self.store.seal, incoming.data)
        if incoming.account is not None:
            self._check_from(incoming, prepared)
        return prepared, self._judge(incoming, prepared)

    def _check_from(self, incoming: Incoming, prepared: blobs.Prepared) -> None:
        """The sender owns its From: its own address, or the registry's for a clerk."""
        assert incoming.account is not None
        own = own_addresses(self.accounts, incoming.account)
        written = [one.address.lower() for one in prepared.summary.from_]
        if len(written) != 1 or written[0] not in own or incoming.sender.lower() not in own:
            shown = written[0] if written else "?"
            raise Refused(
                "not-your-address",
                f"Không được gửi bằng địa chỉ {shown}. Địa chỉ được dùng: {', '.join(own)}.",
                f"You may not send as {shown}. Addresses you may use: {', '.join(own)}.",
            )

    def _judge(self, incoming: Incoming, prepared: blobs.Prepared) -> Decision | None:
        doors: dict[Door, RuleDoor] = {"mx": "mx", "submission": "submission", "page": "page", "api": "api"}
        door = doors.get(incoming.door)
        if door is None:
            return None
        facts = mail_facts(
            incoming.data,
            prepared.summary,
            door=door,
            sender=incoming.sender,
            recipients=[one.address for one in incoming.recipients],
            accounts=self.accounts,
            account=incoming.account,
            reason=incoming.reason,
            moment="receive" if door == "mx" else "send",
        )
        return judge(facts, self.rulebook)

    def _security_officers(self) -> list[AccountRef]:
        return [one.ref for one in self.accounts.all() if one.role == "system-officer"]

    async def _note_refusal(self, incoming: Incoming, decision: Decision) -> None:
        detail: dict[str, JSON] = {
            "door": incoming.door,
            "verdict": decision.verdict,
            "rules": [one.rule_id for one in decision.findings],
            "digest": hashlib.sha256(incoming.data).hexdigest(),
        }
        subject = incoming.sender or "<>"
        await self.store.database.commit(
            lambda conn: record(conn, self.store.seal, "mail.refused", subject, detail)
        )

    # --- the transaction

    async def _commit(
        self,
        incoming: Incoming,
        plan: _Plan,
        prepared: blobs.Prepared,
        decision: Decision | None,
        quarantined: bool,
    ) -> Outcome:
        digest = hashlib.sha256(incoming.data).hexdigest()
        many = len(plan.local) > _SPREAD_ABOVE

        def job(conn: sa.Connection) -> Outcome:
            refs = len(plan.local) + len(plan.remote) + (incoming.sent_copy is not None)
            blob = blobs.put(conn, self.store.segments, prepared, refs)
            now = now_us()
            places: list[tuple[Ref, int]] = []
            boxes = sorted(self._inbox(conn, owner, quarantined) for owner in plan.local)
            if many:
                self._spread_later(conn, blob, prepared.size, boxes, now)
            else:
                places = [
                    (box, messages.put(conn, messages.Put(box, blob, 0, now, prepared.size))) for box in boxes
                ]
            if incoming.sent_copy is not None:
                sent = messages.Put(incoming.sent_copy, blob, SEEN, now, prepared.size)
                messages.put(conn, sent)
            agency = incoming.account.agency if incoming.account is not None else 0
            for one in plan.remote:
                new = outbound.NewOutbound(
                    agency,
                    blob,
                    incoming.sender,
                    one.address,
                    one.notify,
                    one.original,
                    incoming.envelope_id,
                )
                outbound.add(conn, self.store.seal, new, not_before_us=incoming.not_before_us)
            self._note(conn, incoming, prepared, decision, digest, quarantined)
            self.store.woken(conn, *(box for box, _ in places))
            if incoming.sent_copy is not None:
                self.store.woken(conn, incoming.sent_copy)
            if plan.remote:
                after_commit(conn, lambda: self.store.wake.publish("queue"))
            return Outcome(
                decision,
                tuple(places),
                len(plan.remote),
                len(boxes) if many else 0,
                quarantined,
                digest,
            )

        outcome = await self.store.database.commit(job)
        if many:
            self._spreading = asyncio.create_task(self.spread_all(), name="spread")
        return outcome

    def _inbox(self, conn: sa.Connection, owner: AccountRef, quarantined: bool) -> Ref:
        if not quarantined and (known := self._inboxes.get(owner)) is not None:
            return known
        name = _QUARANTINE if quarantined else "INBOX"
        found = mailboxes.find(conn, self.store.seal, owner, name)
        if found is None:
            if not quarantined:
                return mailboxes.create_standard(conn, self.store.seal, owner)
            return mailboxes.create(conn, self.store.seal, owner, name)
        if not quarantined:
            self._inboxes[owner] = found
        return found

    def _note(
        self,
        conn: sa.Connection,
        incoming: Incoming,
        prepared: blobs.Prepared,
        decision: Decision | None,
        digest: str,
        quarantined: bool,
    ) -> None:
        detail: dict[str, JSON] = {
            "door": incoming.door,
            "digest": digest,
            "size": prepared.size,
            "recipients": len(incoming.recipients),
            "message_id": (prepared.summary.message_id or "")[:200],
            "rules": [one.rule_id for one in decision.findings] if decision is not None else [],
        }
        if incoming.reason:
            detail["reason"] = incoming.reason[:1000]
        kind = "mail.quarantined" if quarantined else "mail.accepted"
        record(conn, self.store.seal, kind, incoming.sender or "<>", detail)

    # --- letters to many

    def _spread_later(self, conn: sa.Connection, blob: int, size: int, boxes: list[Ref], now: int) -> None:
        number = next_number(conn, 0, "spread")
        conn.execute(
            sa.insert(schema.spread).values(
                spread=number,
                blob=blob,
                internaldate_us=now,
                size=size,
                sealed_mailboxes=self.store.seal.seal(json.dumps(boxes).encode(), b"spread"),
                done=0,
            )
        )

    def _spread_slice(self, conn: sa.Connection) -> bool:
        """Put the next slice of the oldest spread letter into its mailboxes; False when none is left."""
        table = schema.spread
        row = conn.execute(
            sa.select(table).order_by(table.c.spread).limit(1).with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return False
        boxes = [Ref(*one) for one in json.loads(self.store.seal.open(row.sealed_mailboxes, b"spread"))]
        part = boxes[row.done : row.done + _SPREAD_ABOVE]
        for box in part:
            try:
                messages.put(conn, messages.Put(box, row.blob, 0, row.internaldate_us, row.size))
            except mailboxes.NoSuchMailbox:
                blobs.refer(conn, row.blob, -1)
                log.warning("a mailbox of spread letter %d is gone", row.spread)
        self.store.woken(conn, *part)
        this = table.c.spread == row.spread
        if row.done + len(part) >= len(boxes):
            conn.execute(sa.delete(table).where(this))
        else:
            conn.execute(sa.update(table).where(this).values(done=row.done + len(part)))
        return True


def own_addresses(accounts: Accounts, account: Account) -> list[str]:
    """The addresses an account may send as."""
    own = [account.address]
    if account.role == "clerk":
        home = accounts.agency(account.agency_code)
        if home is not None:
            own.append(home.registry_address)
    return own


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
