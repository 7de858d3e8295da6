# SPDX-License-Identifier: AGPL-3.0-or-later
"""Follows the registry mailboxes by their change log, with a cursor of its own (DESIGN 4.4).

Each message is looked at outside any transaction; what it leaves and the cursor's step are one
transaction, so a crash repeats nothing and skips nothing. A packet that is damaged, forged or even breaks
the program is held and passed; only a signer or database that is down makes the follower wait.
"""

from __future__ import annotations

import hashlib
import logging
import time

import sqlalchemy as sa

from config.refusal import Refused, Unavailable
from config.seal import SealBroken
from exchange.documents.schema import packet_seen
from exchange.exchange import Exchange
from exchange.receiving.arrival import ArrivedDocument, ArrivedStatus, Unreadable
from exchange.receiving.keeping import Effect, effect_of_document, effect_of_unreadable
from exchange.receiving.revocation import look
from exchange.receiving.statuses import effect_of_status
from exchange.sealing.packet import packet_digest
from exchange.sealing.packet_form import is_packet
from mailserver.accounts import Agency
from mailserver.store import Ref, Row
from mailserver.store.schema import follower, mailbox

log = logging.getLogger("congvan.receiving")
NAME = "exchange"
_HEAD = 64 * 1024
_REFRESH_S = 30.0


class Follower:
    """Knows the registry mailboxes and looks into those that moved since its cursor."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._boxes: dict[Ref, Agency] = {}
        self._looked = -_REFRESH_S

    def watches(self, key: str) -> bool:
        """Whether a wake-up for the mailbox ``agency.mailbox`` is of interest."""
        agency, _, mailbox = key.partition(".")
        known = self._boxes
        return not (agency.isdigit() and mailbox.isdigit()) or Ref(int(agency), int(mailbox)) in known

    def follow(self) -> int:
        """Take in what is new in every registry mailbox; returns how many packets were dealt with.

        Raises `Unavailable` when the signer or the database is down; the next call goes on from there.
        """
        if time.monotonic() - self._looked >= _REFRESH_S:
            self._refresh()
        return sum(
            follow_mailbox(self._exchange, self._boxes[box], box) for box in self._moved(sorted(self._boxes))
        )

    def _refresh(self) -> None:
        exchange, found = self._exchange, {}
        for agency in exchange.accounts.agencies():
            box = exchange.store.find(agency.registry, "INBOX")
            if box is not None:
                found[box] = agency
        self._boxes, self._looked = found, time.monotonic()

    def _moved(self, boxes: list[Ref]) -> list[Ref]:
        """Those whose change log is ahead of the cursor: one query for some hundred mailboxes."""
        m, f = mailbox.c, follower.c
        joined = mailbox.outerjoin(
            follower, sa.and_(f.name == NAME, f.agency == m.agency, f.mailbox == m.mailbox)
        )
        ahead = sa.select(m.agency, m.mailbox).select_from(joined)
        ahead = ahead.where(m.highestmodseq > sa.func.coalesce(f.modseq, 0))
        found: list[Ref] = []
        with self._exchange.database.reading() as conn:
            for start in range(0, len(boxes), 300):
                part = [tuple(box) for box in boxes[start : start + 300]]
                rows = conn.execute(ahead.where(sa.tuple_(m.agency, m.mailbox).in_(part)))
                found += [Ref(row.agency, row.mailbox) for row in rows]
        return found


def follow_mailbox(exchange: Exchange, agency: Agency, box: Ref) -> int:
    """Take in what is new in one registry mailbox. The last message of a change takes the cursor over it."""
    since = cursor(exchange, box)
    done, passed = 0, since
    for change in exchange.store.changes(box, since):
        rows = exchange.store.rows(box, change.first_uid, change.last_uid) if change.kind == "new" else []
        for row in rows:
            effect = _effect_of(exchange, agency, row)
            if effect is not None:
                _commit(exchange, box, change.modseq if row is rows[-1] else passed, effect)
                done += 1
        passed = change.modseq
    if passed != since:
        _commit(exchange, box, passed, None)
    return done


def cursor(exchange: Exchange, box: Ref) -> int:
    """The modseq up to which the mailbox was followed."""
    table = follower
    with exchange.database.reading() as conn:
        found = conn.execute(sa.select(table.c.modseq).where(_at(box))).scalar()
    return int(found or 0)


def _effect_of(exchange: Exchange, agency: Agency, row: Row) -> Effect | None:
    """The effect of one message; None when it is no packet, gone, or was taken already."""
    try:
        mail = exchange.store.content(row.blob)
    except LookupError:
        return None
    except SealBroken:
        log.error("message %d of %s does not open", row.uid, agency.code)
        return None
    if not is_packet(mail[:_HEAD].partition(b"\r\n\r\n")[0]) or _taken(exchange, agency, mail):
        return None
    return _effect(exchange, agency, mail, exchange.store.summary(row.blob).message_id or "")


def _taken(exchange: Exchange, agency: Agency, mail: bytes) -> bool:
    try:
        digest = bytes.fromhex(packet_digest(mail))
    except Refused:
        digest = hashlib.sha256(mail).digest()
    table = packet_seen
    with exchange.database.reading() as conn:
        found = conn.execute(
            sa.select(table.c.digest).where(table.c.agency == agency.number, table.c.digest == digest)
        ).first()
    return found is not None


def _effect(exchange: Exchange, agency: Agency, mail: bytes, message_id: str) -> Effect:
    try:
        arrival = look(exchange, agency, mail, message_id)
        if isinstance(arrival, ArrivedDocument):
            return effect_of_document(exchange, agency, arrival)
        if isinstance(arrival, ArrivedStatus):
            return effect_of_status(exchange, agency, arrival)
        return effect_of_unreadable(exchange, agency, arrival)
    except Unavailable:
        raise
    except Refused as problem:
        code, vi, en = problem.code, problem.vi, problem.en
    except Exception as problem:
        log.exception("a packet for %s could not be processed", agency.code)
        code = "packet-not-processed"
        vi = f"Chương trình gặp lỗi ({type(problem).__name__}) khi xử lý gói tin; báo quản trị hệ thống."
        en = f"The program met an error ({type(problem).__name__}) on this packet; tell the system officer."
    digest = hashlib.sha256(mail).digest()
    return effect_of_unreadable(exchange, agency, Unreadable("held", code, vi, en, digest, message_id[:200]))


def _commit(exchange: Exchange, box: Ref, modseq: int, effect: Effect | None) -> None:
    """The effect and the cursor's step, in one transaction."""

    def job(conn: sa.Connection) -> None:
        if effect is not None:
            effect(conn)
        _step(conn, box, modseq)

    exchange.database.write(job)


def _step(conn: sa.Connection, box: Ref, modseq: int) -> None:
    table = follower
    moved = conn.execute(sa.update(table).where(_at(box)).values(modseq=modseq))
    if not moved.rowcount:
        conn.execute(
            sa.insert(table).values(name=NAME, agency=box.agency, mailbox=box.mailbox, modseq=modseq)
        )


def _at(box: Ref) -> sa.ColumnElement[bool]:
    table = follower
    return sa.and_(table.c.name == NAME, table.c.agency == box.agency, table.c.mailbox == box.mailbox)
