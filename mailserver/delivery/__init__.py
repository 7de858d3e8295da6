# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one door by which a message gets in: ask the rules, then one transaction, then wake up (DESIGN §2)."""

from mailserver.delivery.door import Delivery
from mailserver.delivery.incoming import Door, Incoming, Outcome, Recipient
from mailserver.delivery.judge import lent_addresses, own_addresses, refusal_of

__all__ = [
    "Delivery",
    "Door",
    "Incoming",
    "Outcome",
    "Recipient",
    "lent_addresses",
    "own_addresses",
    "refusal_of",
]
