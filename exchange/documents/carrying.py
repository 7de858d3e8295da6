# SPDX-License-Identifier: AGPL-3.0-or-later
"""A packet mail handed to the queue inside the transaction that acts (DESIGN 4.16: row issued, packet queued).

Delivery's own transaction can't be joined, so the same parts of the store are used here: blob, outbound
rows and the ledger entry of an accepted mail, for recipients here and elsewhere alike; SMTP carries all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from config.writer import after_commit
from exchange.exchange import Exchange
from mailserver.store import blobs, outbound
from mailserver.store.blobs import Prepared
from policy.ledger.entries import record
from policy.ledger.leaf import JSON


def prepared(exchange: Exchange, mail: bytes) -> Prepared:
    """The mail sealed and scanned: outside any transaction."""
    return blobs.prepare(exchange.seal, mail)


def queue(
    conn: sa.Connection,
    exchange: Exchange,
    mail: Prepared,
    digest: str,
    sender: str,
    recipients: Sequence[str],
    agency: int,
) -> None:
    """Queue ``mail`` for ``recipients``; it leaves once the transaction commits. ``digest``: `mail_digest`."""
    blob = blobs.put(conn, exchange.store.segments, mail, len(recipients))
    for one in recipients:
        outbound.add(conn, exchange.seal, outbound.NewOutbound(agency, blob, sender, one))
    detail: dict[str, JSON] = {
        "door": "exchange",
        "digest": digest,
        "size": mail.size,
        "recipients": len(recipients),
        "message_id": (mail.summary.message_id or "")[:200],
        "rules": [],
    }
    record(conn, exchange.seal, "mail.accepted", sender, detail)
    after_commit(conn, lambda: exchange.wake.publish("queue"))


def mail_digest(mail: bytes) -> str:
    """SHA-256 (hex) of the bytes, as delivery records it."""
    return hashlib.sha256(mail).hexdigest()
