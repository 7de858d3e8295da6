# SPDX-License-Identifier: AGPL-3.0-or-later
"""SELECT (RFC 9051 §6.3.2) with CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5), MAILBOXID (RFC 8474 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mailserver.imap.grammar import strings
from mailserver.imap.grammar.lexer import Cursor, Syntax
from mailserver.imap.grammar.sequences import SequenceSet, write_ranges
from mailserver.imap.naming import require
from mailserver.imap.rights import flag_mask
from mailserver.imap.session import Session
from mailserver.imap.view import View
from mailserver.store.identifiers import mailbox_id
from mailserver.store.mailboxes import NoSuchMailbox

_WRITING = "swite"


@dataclass(frozen=True, slots=True)
class Known:
    """What a QRESYNC client remembers: UIDVALIDITY, modseq, and perhaps the UIDs it holds."""

    uidvalidity: int
    modseq: int
    uids: SequenceSet | None


async def run(session: Session, cursor: Cursor) -> bytes:
    """Open a mailbox for reading and writing."""
    return await open_mailbox(session, cursor, readonly=False)


async def open_mailbox(session: Session, cursor: Cursor, *, readonly: bool) -> bytes:
    """SELECT and EXAMINE."""
    cursor.space()
    name = cursor.mailbox()
    known = _parameters(session, cursor)
    cursor.end()
    if session.view is not None:
        session.select(None)
        session.untagged(b"OK [CLOSED] The mailbox before is closed")
    place = session.names.place(name)
    mailbox = session.services.store.mailbox(place.ref) if place.ref is not None else None
    if mailbox is None:
        raise NoSuchMailbox
    require(place, "r")
    readonly = readonly or not any(one in place.rights for one in _WRITING)
    view = View(session.services.store, mailbox, name, place.rights, readonly=readonly)
    session.select(view)
    listed = b'* LIST () "/" %b\r\n' % strings.mailbox(name, utf8=True) if session.rev2 else b"* 0 RECENT\r\n"
    session.write(
        b"* FLAGS %b\r\n* %d EXISTS\r\n%b* OK [PERMANENTFLAGS %b] Flags that stay\r\n"
        b"* OK [UIDVALIDITY %d] Valid\r\n* OK [UIDNEXT %d] Next\r\n* OK [HIGHESTMODSEQ %d] Highest\r\n"
        b"* OK [MAILBOXID (%b)] Named\r\n"
        % (
            view.words.all(),
            view.exists,
            listed,
            b"()" if readonly else view.words.permanent(flag_mask(place.rights)),
            mailbox.uidvalidity,
            mailbox.uidnext,
            mailbox.highestmodseq,
            mailbox_id(mailbox.ref),
        )
    )
    if known is not None and known.uidvalidity == mailbox.uidvalidity:
        await session.loaded()
        await _resynchronise(session, view, known)
    return b"[READ-ONLY] Opened" if readonly else b"[READ-WRITE] Opened"


def _parameters(session: Session, cursor: Cursor) -> Known | None:
    known = None
    if not cursor.try_space() or cursor.at_end():
        return None
    cursor.byte(b"(")
    while not cursor.try_byte(b")"):
        word = cursor.word()
        if word == "CONDSTORE":
            session.condstore = True
        elif word == "QRESYNC" and session.qresync:
            cursor.space()
            known = _known(cursor)
        else:
            raise Syntax(f"{word[:40]} is not a parameter here")
        cursor.try_space()
    return known


def _known(cursor: Cursor) -> Known:
    cursor.byte(b"(")
    uidvalidity = cursor.number()
    cursor.space()
    modseq = cursor.number()
    uids = None
    while cursor.try_space():
        if cursor.try_byte(b"("):  # pairs of sequence numbers and UIDs: a hint that is not needed
            cursor.sequence_set()
            cursor.space()
            cursor.sequence_set()
            cursor.byte(b")")
        else:
            uids = cursor.sequence_set()
    cursor.byte(b")")
    return Known(uidvalidity, modseq, uids)


async def _resynchronise(session: Session, view: View, known: Known) -> None:
    vanished = await session.aside(view.exists, partial(vanished_since, view, known.modseq, known.uids))
    if vanished:
        session.untagged(b"VANISHED (EARLIER) " + vanished)
    await session.tell_many_flags(await session.aside(view.exists, partial(_changed, view, known)))


def _changed(view: View, known: Known) -> list[int]:
    """The positions of what the client may hold in an older state."""
    uids = view.uids
    spans = [range(len(uids))] if known.uids is None else known.uids.positions(uids, uid=True)
    return [at for span in spans for at in span if view.modseqs(at) > known.modseq]


def vanished_since(view: View, modseq: int, among: SequenceSet | None) -> bytes:
    """The UIDs expunged after ``modseq`` as a set, from the change log (Q16); empty when there are none."""
    spans = sorted(
        (one.first_uid, one.last_uid)
        for one in view.store.changes(view.ref, modseq)
        if one.kind == "expunged"
    )
    if not spans:
        return b""
    top = max(last for _, last in spans)
    limits = [(1, top)] if among is None else among.resolve(max(top, view.uids[-1] if view.uids else 0))
    joined: list[tuple[int, int]] = []
    at = 0
    for first, last in spans:  # both lists rise: what is before the limit at hand never comes back
        while at < len(limits) and limits[at][1] < first:
            at += 1
        for low, high in limits[at:]:
            if low > last:
                break
            low, high = max(low, first), min(high, last)
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], high))
            else:
                joined.append((low, high))
    return write_ranges(joined)
