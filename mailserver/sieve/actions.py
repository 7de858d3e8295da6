# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a script wants done with a letter. Delivery does it; nothing here acts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileInto:
    """A copy in a mailbox ("INBOX" for keep) with flags as IMAP writes them; ``create``: make it when missing."""

    mailbox: str
    flags: tuple[str, ...] = ()
    create: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """The letter goes on to this address."""

    address: str


@dataclass(frozen=True, slots=True)
class Reject:
    """The letter is not taken (RFC 5429); its sender is told ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Vacation:
    """An answer to the sender (RFC 5230), at most once in ``days`` for each ``handle``."""

    reason: str
    days: int
    subject: str = ""
    sender: str = ""
    addresses: tuple[str, ...] = ()
    mime: bool = False
    handle: str = ""


Action = FileInto | Redirect | Reject | Vacation


@dataclass(frozen=True, slots=True)
class Ran:
    """The end of a run. ``error`` says why the script was left and the letter simply kept; "" when all is well."""

    actions: tuple[Action, ...]
    error: str = ""


def kept(error: str = "") -> Ran:
    """The letter stays in INBOX, nothing else happens."""
    return Ran((FileInto("INBOX"),), error)
