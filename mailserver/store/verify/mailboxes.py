# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mailboxes: counters, UIDs, and the change log that CONDSTORE and QRESYNC answer from (RFC 7162).

The log holds a mailbox when: each message is covered by a "new" range; its modseq is that of a range that
covers it; no "expunged" range covers it; every other UID given so far is covered by one; no modseq is above
the mailbox's highest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from mailserver.store import flag_ranges, kept_columns, listing, schema, snapshots
from mailserver.store.changelog import KINDS, advance, log_change
from mailserver.store.model import SEEN, Ref, ranges
from mailserver.store.verify.findings import Findings, Fix

_SHOWN = 20
_KEYWORDS = ~0xFF


def check_mailboxes(conn: sa.Connection, found: Findings) -> None:
    """All mailboxes, one after another."""
    table = schema.mailbox
    for box in conn.execute(sa.select(table).order_by(table.c.agency, table.c.mailbox)).all():
        found.mailboxes += 1
        place = f"mailbox {box.agency}.{box.mailbox}"
        uids, modseqs = _messages(conn, box, place, found)
        _check_log(conn, box, uids, modseqs, place, found)
        _check_snapshot(conn, box, place, found)
    message, box_ = schema.message, schema.mailbox
    lost = (
        sa.select(message.c.agency, message.c.mailbox)
        .where(~sa.exists().where(box_.c.agency == message.c.agency, box_.c.mailbox == message.c.mailbox))
        .distinct()
        .limit(_SHOWN)
    )
    for row in conn.execute(lost):
        found.add("mailbox-missing", f"mailbox {row.agency}.{row.mailbox}", "messages of no mailbox")


def _messages(conn: sa.Connection, box: Any, place: str, found: Findings) -> tuple[array[int], array[int]]:
    message = schema.message
    uids, modseqs = array("q"), array("q")
    unseen = size = words = 0
    late = flag_ranges.of(conn, Ref(box.agency, box.mailbox))
    query = sa.select(message.c.uid, message.c.flags, message.c.modseq, message.c.size)
    rows = conn.execution_options(yield_per=1000).execute(
        query.where(message.c.agency == box.agency, message.c.mailbox == box.mailbox).order_by(message.c.uid)
    )
    for uid, flags, modseq, length in (
        row for part in rows.partitions() for row in flag_ranges.over(late, list(map(tuple, part)), tuple)
    ):
        uids.append(uid)
        modseqs.append(modseq)
        unseen += not flags & SEEN
        size += length
        words |= flags & _KEYWORDS
    found.messages += len(uids)
    for name, counted in (("exists", len(uids)), ("unseen", unseen), ("size", size)):
        kept = box._mapping[name]
        if kept != counted:
            found.add(
                "counter", place, f"{name} is {kept}, counted {counted}", _add_to(box, name, counted - kept)
            )
    if uids and uids[-1] >= box.uidnext:
        detail = f"uidnext is {box.uidnext}, the last UID is {uids[-1]}"
        found.add("uidnext", place, detail, _raise_to(box, "uidnext", uids[-1] + 1))
    top = max(modseqs, default=0)
    if top > box.highestmodseq:
        detail = f"a message has modseq {top}, highest is {box.highestmodseq}"
        found.add("modseq", place, detail, _raise_to(box, "highestmodseq", top))
    named = {
        row.bit
        for row in conn.execute(
            sa.select(schema.keyword.c.bit).where(
                schema.keyword.c.agency == box.agency, schema.keyword.c.mailbox == box.mailbox
            )
        )
    }
    if unknown := [bit for bit in range(8, 62) if words >> bit & 1 and bit not in named]:
        found.add("keyword", place, f"messages carry keyword bits that have no name: {unknown}")
    return uids, modseqs


def _check_snapshot(conn: sa.Connection, box: Any, place: str, found: Findings) -> None:
    """What is kept of a large mailbox leads, with the log, to what its rows say."""
    ref = Ref(box.agency, box.mailbox)
    try:
        kept = snapshots.read(conn, ref)
        if kept is None:
            return
        led = kept_columns.followed(conn, ref, box._mapping["exists"], box.highestmodseq, *kept)
        whole = led is None or led == listing.columns(conn, ref)
    except ValueError:
        whole = False
    if not whole:
        detail = "what is kept of its UIDs and flags does not lead to what its messages say"
        found.add("snapshot", place, detail, lambda conn: snapshots.forget(conn, ref))


def _check_log(
    conn: sa.Connection, box: Any, uids: array[int], modseqs: array[int], place: str, found: Findings
) -> None:
    table = schema.change
    at, first, last = array("q"), array("q"), array("q")
    new: list[tuple[int, int]] = []
    gone: list[tuple[int, int]] = []
    top = 0
    rows = conn.execution_options(yield_per=1000).execute(
        sa.select(table.c.modseq, table.c.first_uid, table.c.last_uid, table.c.kind)
        .where(table.c.agency == box.agency, table.c.mailbox == box.mailbox)
        .order_by(table.c.modseq, table.c.first_uid)
    )
    for modseq, low, high, kind in rows:
        top = modseq
        if low > high or low < 1 or kind not in KINDS:
            found.add("change-log", place, f"the log has {kind} {low}:{high} at {modseq}")
        elif kind == "x":
            gone.append((low, high))
        else:
            at.append(modseq)
            first.append(low)
            last.append(high)
            if kind == "n":
                new.append((low, high))
    if top > box.highestmodseq:
        detail = f"the log has {top}, highest is {box.highestmodseq}"
        found.add("modseq", place, detail, _raise_to(box, "highestmodseq", top))
    gone, new = _joined(gone), _joined(new)
    unlogged = [
        uid
        for uid, modseq in zip(uids, modseqs, strict=True)
        if not _covered(uid, modseq, at, first, last) or not _inside(new, uid, uid)
    ]
    if unlogged:
        detail = f"not in the log with their modseq: UIDs {unlogged[:_SHOWN]}, {len(unlogged)} in all"
        found.add("change-log", place, detail, _log_again(box, unlogged))
    if back := [uid for uid in uids if _inside(gone, uid, uid)]:
        detail = f"here although the log says they went: UIDs {back[:_SHOWN]}, {len(back)} in all"
        found.add("change-log", place, detail)
    missing = [span for span in _holes(uids, box.uidnext) if not _inside(gone, *span)]
    if missing:
        detail = f"gone without a word in the log: UIDs {missing[:_SHOWN]}, {len(missing)} ranges in all"
        found.add("vanished", place, detail, _log_gone(box, missing))


def _covered(uid: int, modseq: int, at: array[int], first: array[int], last: array[int]) -> bool:
    """Whether a range of ``modseq`` covers the UID; ranges of one modseq may overlap (new, then flags)."""
    low, high = bisect_left(at, modseq), bisect_right(at, modseq)
    here = bisect_right(first, uid, low, high) - 1
    while here >= low:
        if last[here] >= uid:
            return True
        here -= 1
    return False


def _holes(uids: Iterable[int], uidnext: int) -> Iterator[tuple[int, int]]:
    """The UIDs below ``uidnext`` that no message has, as ranges."""
    expected = 1
    for uid in uids:
        if uid > expected:
            yield expected, uid - 1
        expected = uid + 1
    if expected < uidnext:
        yield expected, uidnext - 1


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def _inside(joined: list[tuple[int, int]], low: int, high: int) -> bool:
    at = bisect_right(joined, (low, 1 << 62)) - 1
    return at >= 0 and joined[at][1] >= high


# --- setting right


def _here(box: Any) -> sa.ColumnElement[bool]:
    return sa.and_(schema.mailbox.c.agency == box.agency, schema.mailbox.c.mailbox == box.mailbox)


def _add_to(box: Any, name: str, by: int) -> Fix:
    column = schema.mailbox.c[name]
    return lambda conn: conn.execute(sa.update(schema.mailbox).where(_here(box)).values({name: column + by}))


def _raise_to(box: Any, name: str, least: int) -> Fix:
    column = schema.mailbox.c[name]
    return lambda conn: conn.execute(
        sa.update(schema.mailbox).where(_here(box), column < least).values({name: least})
    )


def _log_again(box: Any, uids: list[int]) -> Fix:
    """Log the messages that are still there as new, and once more as changed with the modseq they get: who has kept
    them looks at what changed only. Ranges of flags that wait for the old modseqs come into the rows before."""

    def fix(conn: sa.Connection) -> None:
        ref = Ref(box.agency, box.mailbox)
        new, modseq = advance(conn, ref), advance(conn, ref)
        flag_ranges.settle(conn, ref, ranges(uids))
        message = schema.message
        there = []
        for uid in uids:
            found = conn.execute(
                sa.update(message)
                .where(message.c.agency == box.agency, message.c.mailbox == box.mailbox, message.c.uid == uid)
                .values(modseq=modseq)
            )
            if found.rowcount:
                there.append(uid)
        log_change(conn, ref, new, ranges(there), "n")
        log_change(conn, ref, modseq, ranges(there), "f")

    return fix


def _log_gone(box: Any, spans: list[tuple[int, int]]) -> Fix:
    ref = Ref(box.agency, box.mailbox)
    return lambda conn: log_change(conn, ref, advance(conn, ref), spans, "x")
