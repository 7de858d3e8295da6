# SPDX-License-Identifier: AGPL-3.0-or-later
"""Object identifiers (RFC 8474 §4, §5): of a mailbox, of a message's bytes, of its thread.

All follow from what is kept anyway, so they hold for old mail and survive renaming, copying and restoring:
mailbox and blob numbers are never given twice; a thread is named by its root's Message-ID.
"""

from __future__ import annotations

from config.seal import Seal
from mailserver.message import Summary
from mailserver.store.model import Ref


def mailbox_id(ref: Ref) -> bytes:
    """MAILBOXID."""
    return b"M%d-%d" % (ref.agency, ref.mailbox)


def email_id(blob: int) -> bytes:
    """EMAILID: the same bytes have the same, wherever they are."""
    return b"E%d" % blob


def thread_id(seal: Seal, summary: Summary) -> bytes | None:
    """THREADID: by the first of References, else In-Reply-To, else the own Message-ID; None without any."""
    root = next(iter(summary.references), None) or summary.in_reply_to or summary.message_id
    return b"T" + seal.digest("thread", root.encode()).hex().encode() if root else None
