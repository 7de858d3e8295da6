# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the courier and SMTP do between two agencies, without sockets: queued bytes go to the door of the MX."""

from __future__ import annotations

import asyncio
from typing import Any

import sqlalchemy as sa

from exchange.documents import finding, listing, opening, walk
from exchange.documents.model import Document
from exchange.receiving import answers
from exchange.receiving.follower import Follower
from mailserver.delivery import Incoming, Recipient
from mailserver.store import outbound
from tests.exchange.documents.office import Office, draft_pdf

CLERK, LEADER = "vt1@vpubnd.camau.example", "lanhdao@vpubnd.camau.example"
RECEIVER = "vt1@sonoivu.camau.example"
TRACE = b"Received: from a.example by b.example; Mon, 2 Mar 2026 08:00:00 +0700\r\n"


def issue(office: Office, pdf: bytes | None = None, **changed: Any) -> dict[str, Any]:
    """Issue a document from the home agency to the other."""
    declared: dict[str, Any] = {
        "agency": "H12.01",
        "to": ["H12.02"],
        "kind": "Thông báo",
        "subject": "Về việc họp giao ban",
        "signer": LEADER,
        "clerk": CLERK,
    } | changed
    return walk.issue_from_pdf(office.exchange, pdf or draft_pdf(), **declared)


def take_queue(office: Office) -> list[tuple[str, str, bytes]]:
    """Take everything out of the queue: (sender, recipient, bytes)."""
    store = office.province.store
    with store.database.reading() as conn:
        waiting = outbound.listed(conn, store.seal)
    found = [(one.sender, one.recipient, store.content(one.blob)) for one in waiting]

    def finish(conn: sa.Connection) -> None:
        for one in waiting:
            outbound.finish(conn, one)

    store.database.write(finish)
    return found


def deliver(office: Office, sender: str, recipient: str, data: bytes) -> None:
    """One mail to the door of the MX, with a trace header in front as SMTP puts it."""
    incoming = Incoming(sender, (Recipient(recipient),), TRACE + data, "mx")
    asyncio.run(office.delivery.deliver(incoming))


def carry(office: Office) -> int:
    """Deliver all queued mail; returns how many."""
    mails = take_queue(office)
    for sender, recipient, data in mails:
        deliver(office, sender, recipient, data)
    return len(mails)


def round_trip(office: Office) -> None:
    """Everything that happens by itself until nothing is left to do."""
    follower = Follower(office.exchange)
    for _ in range(8):
        moved = carry(office) + follower.follow()
        office.sequencer.sequence_once()
        moved += answers.send_due(office.exchange)
        if not moved:
            return


def issued_pdf(office: Office, told: dict[str, Any]) -> tuple[Document, bytes]:
    """The sender's document and its issued PDF."""
    document = finding.find(office.exchange, told["id"])
    (found,) = opening.open_for(office.exchange, document.ref, office.province.people[CLERK])
    return document, found.data


def arrivals(office: Office) -> list[Document]:
    """What the other agency has received, oldest first."""
    return listing.listing(office.exchange, office.other.number, "incoming")[::-1]


def outcome(office: Office, told: dict[str, Any]) -> tuple[str, list[tuple[str, bool]]]:
    """(outcome, [(event, proved)]) at the one recipient of a sent document."""
    status = listing.status(office.exchange, finding.find(office.exchange, told["id"]).ref)
    (recipient,) = status["recipients"]
    return recipient["outcome"], [(one["event"], one["proved"]) for one in recipient["evidence"]]
