# SPDX-License-Identifier: AGPL-3.0-or-later
"""What comes to the door and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mailserver.accounts import Account
from mailserver.hygiene import Verdict
from mailserver.store import Ref
from policy.judge import Decision

Door: TypeAlias = Literal["mx", "submission", "page", "api", "exchange", "bounce"]
"""``exchange`` and ``bounce`` are mail the installation writes itself; rules on mail don't judge it."""


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
    the message by SMTP (official documents travel so). ``not_before_us``: the message is held until then and
    may be taken back meanwhile (undo-send, send-later, FUTURERELEASE); it needs an ``account``. ``ret`` and
    ``envelope_id`` are MAIL's DSN parameters (RFC 3461 §4.3, §4.4).
    ``verdict``: what the MX found out about who sent it and whether it is spam.
    """

    sender: str
    recipients: tuple[Recipient, ...]
    data: bytes
    door: Door
    client: str = ""
    account: Account | None = None
    reason: str | None = None
    envelope_id: str = ""
    ret: str = ""
    sent_copy: Ref | None = None
    carry_all: bool = False
    not_before_us: int | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: the decision, the messages' places, how many rows were queued.

    ``held`` is the number of a held submission in its account's agency.
    """

    decision: Decision | None
    local: tuple[tuple[Ref, int], ...] = ()
    queued: int = 0
    spread: int = 0
    quarantined: bool = False
    digest: str = ""
    held: int | None = None
