# SPDX-License-Identifier: AGPL-3.0-or-later
"""Proving that the store is whole: every blob opens, every counter, UID and log entry agrees.

Reads in one snapshot, in bounded memory: mailbox after mailbox, blob after blob.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from config.database import Database
from config.seal import Seal, SealBroken
from mailserver.message import Summary
from mailserver.store import blobs, schema
from mailserver.store.model import SEEN
from mailserver.store.segments import Segments


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be."""

    kind: str
    place: str
    detail: str


@dataclass(slots=True)
class Findings:
    """What was looked at and what was wrong."""

    mailboxes: int = 0
    messages: int = 0
    blobs: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, kind: str, place: str, detail: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, place, detail))


def verify_data(database: Database, segments: Segments, seal: Seal) -> Findings:
    """Check all of the store. Changes nothing."""
    found = Findings()
    with database.reading() as conn:
        held = _mailboxes(conn, found)
        held.update(row.blob for row in conn.execute(sa.select(schema.outbound.c.blob)))
        for row in conn.execute(sa.select(schema.spread)):
            boxes = json.loads(seal.open(row.sealed_mailboxes, b"spread"))
            held[row.blob] += len(boxes) - row.done
        _blobs(conn, segments, seal, held, found)
    return found


def _mailboxes(conn: sa.Connection, found: Findings) -> Counter[int]:
    held: Counter[int] = Counter()
    table, message = schema.mailbox, schema.message
    for box in conn.execute(sa.select(table).order_by(table.c.agency, table.c.mailbox)).all():
        found.mailboxes += 1
        place = f"mailbox {box.agency}.{box.mailbox}"
        exists = unseen = size = top = 0
        modseqs: dict[int, int] = {}
        rows = conn.execute(
            sa.select(message)
            .where(message.c.agency == box.agency, message.c.mailbox == box.mailbox)
            .order_by(message.c.uid)
        )
        for row in rows:
            exists += 1
            unseen += not row.flags & SEEN
            size += row.size
            top = row.uid
            modseqs[row.uid] = row.modseq
            held[row.blob] += 1
        found.messages += exists
        for name, counted in (("exists", exists), ("unseen", unseen), ("size", size)):
            kept = box._mapping[name]
            if kept != counted:
                found.add("counter", place, f"{name} is {kept}, counted {counted}")
        if top >= box.uidnext:
            found.add("uidnext", place, f"uidnext is {box.uidnext}, the last UID is {top}")
        _changes(conn, box, modseqs, place, found)
    return held


def _changes(conn: sa.Connection, box: Any, modseqs: dict[int, int], place: str, found: Findings) -> None:
    """Each message's modseq stands in the log with it; no UID the log calls gone is still here."""
    table = schema.change
    last: dict[int, int] = {}
    gone: set[int] = set()
    rows = conn.execute(
        sa.select(table)
        .where(table.c.agency == box.agency, table.c.mailbox == box.mailbox)
        .order_by(table.c.modseq, table.c.first_uid)
    )
    for row in rows:
        if row.modseq > box.highestmodseq:
            found.add("modseq", place, f"the log has {row.modseq}, highest is {box.highestmodseq}")
        for uid in range(row.first_uid, row.last_uid + 1):
            if row.kind == "x":
                gone.add(uid)
                last.pop(uid, None)
            else:
                last[uid] = row.modseq
    for uid in sorted(gone & modseqs.keys()):
        found.add("change-log", place, f"UID {uid} is here although the log says it went")
    for uid, modseq in modseqs.items():
        if last.get(uid) != modseq:
            found.add("change-log", place, f"UID {uid} has modseq {modseq}, the log says {last.get(uid)}")


def _blobs(conn: sa.Connection, segments: Segments, seal: Seal, held: Counter[int], found: Findings) -> None:
    seen: set[int] = set()
    query = sa.select(schema.blob, schema.summary.c.sealed).join(
        schema.summary, schema.summary.c.blob == schema.blob.c.blob, isouter=True
    )
    for row in conn.execute(query.order_by(schema.blob.c.blob)).all():
        found.blobs += 1
        seen.add(row.blob)
        place = f"blob {row.blob}"
        if row.refs != held[row.blob]:
            found.add("references", place, f"refs is {row.refs}, counted {held[row.blob]}")
        try:
            data = blobs.content(conn, segments, seal, row.blob)
        except (SealBroken, OSError) as problem:
            found.add("blob-unreadable", place, str(problem))
            continue
        if seal.blob_name(data) != row.name:
            found.add("blob-name", place, "the content is not what its name says")
        try:
            Summary.unpack(seal.open(row.sealed, b"summary" + row.name))
        except (SealBroken, TypeError, ValueError) as problem:
            found.add("summary-unreadable", place, str(problem))
    for blob in sorted(held.keys() - seen):
        found.add("blob-missing", f"blob {blob}", f"named {held[blob]} times, not there")
