# SPDX-License-Identifier: AGPL-3.0-or-later
"""Values: an agency, an account, and how an address is written."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from config.refusal import Refused

ROLES = (
    "civil-servant",
    "clerk",
    "leader",
    "agency-officer",
    "auditor",
    "system-officer",
    "registry",
    "system",
)
"""What an account is for. ``registry`` is an agency's own mailbox: nobody signs in to it."""

_ADDRESS = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class AccountRef(NamedTuple):
    """An account's key: the agency of its birth and its number there."""

    agency: int
    account: int


@dataclass(frozen=True, slots=True)
class Agency:
    """A state body. ``number`` is given at birth and never rewritten; ``code`` is its public code.

    ``elsewhere``: its mail is served by another server; here it has no mailbox, only a name and certificates.
    """

    number: int
    code: str
    old_code: str
    parent: str
    name: str
    short: str
    domain: str
    place: str
    level: int
    registry: AccountRef
    registry_address: str
    closed_us: int | None = None
    successor: str | None = None
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account, or an agency's registry mailbox. ``address`` is as `canonical` writes it.

    ``masked``: IMAP capabilities, upper case, that are not offered to its mail programs.
    """

    ref: AccountRef
    address: str
    name: str
    title: str
    role: str
    agency_code: str
    agency_name: str
    state: str = "active"
    masked: frozenset[str] = frozenset()

    @property
    def agency(self) -> int:
        """The agency's number."""
        return self.ref.agency


def canonical(address: str) -> str:
    """An address in the one form that is compared: NFC, lower case, at most 254 characters.

    Raises `Refused` (``bad-address``) when it is not an address at all.
    """
    text = unicodedata.normalize("NFC", address.strip()).lower()
    if len(text) > 254 or not _ADDRESS.fullmatch(text) or ".." in text.rpartition("@")[2]:
        raise Refused(
            "bad-address",
            f"“{address[:80]}” không phải là địa chỉ thư. Viết theo dạng ten@coquan.example.",
            f"“{address[:80]}” is not a mail address. Write it as name@agency.example.",
        )
    return text


def domain_of(address: str) -> str:
    """The part after the last ``@``, lower case."""
    return address.rpartition("@")[2].lower()
