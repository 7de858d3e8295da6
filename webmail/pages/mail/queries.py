# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the mail pages read: lists, searches, one letter. A list is a window, never all UIDs of a mailbox."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import g

from mailserver.accounts import Account
from mailserver.delivery import own_addresses
from mailserver.hygiene import Verdict
from mailserver.message import Address, Summary
from mailserver.store import ANSWERED, DRAFT, FLAGGED, SEEN, Row
from mailserver.store.quota import Quota
from webmail import frame, shown
from webmail.errors import NotThere
from webmail.language import t
from webmail.pages.mail import finding
from webmail.pages.mail.places import Place, place_called, places_of

PAGE = 50
_UIDS = 2**32
_CHUNK = 400
_LOOKED_THROUGH = 20_000
_BY_RECIPIENT = ("sent", "drafts")
SHOW = ("all", "unread", "flagged", "files")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a list or a letter: name shown, address, and what stands in the avatar."""

    name: str
    address: str
    mark: str
    tint: str
    agency: bool
    ours: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a list."""

    slug: str
    uid: int
    who: Person
    more: int
    subject: str
    preview: str
    at_us: int
    unread: bool
    flagged: bool
    answered: bool
    draft: bool
    files: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A window of a mailbox: rows by group of days, and the UID to go on from (None at the end).

    ``cut``: the search stopped before the oldest letter.
    """

    groups: list[tuple[str, list[Line]]]
    found: int
    older: int | None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """One message with its summary."""

    place: Place
    row: Row
    summary: Summary


def places() -> list[Place]:
    """The mailboxes of who signed in, read once a request."""
    known: list[Place] | None = g.get("places")
    if known is None:
        known = g.places = places_of(frame.parts(), frame.account())
    return known


def forget_places() -> None:
    """Counters changed: read them anew for this page."""
    g.pop("places", None)


def place(slug: str) -> Place:
    """A mailbox by its slug. Raises `NoSuchPlace`."""
    return place_called(places(), slug)


def title(of: Place) -> str:
    """Its name for people."""
    name = t(of.title_key) if of.title_key else of.box.name
    return f"{name} – {of.lent_by}" if of.lent_by else name


def room(of: Place) -> Quota:
    """How much its owner keeps, and may keep."""
    return frame.parts().store.quota(of.box.owner)


def letter(of: Place, uid: int) -> Letter:
    """One message. Raises `NotThere`."""
    rows = frame.parts().store.rows(of.box.ref, uid, uid) if uid < _UIDS else []
    if not rows:
        raise NotThere
    return Letter(of, rows[0], frame.parts().store.summary(rows[0].blob))


def verdict(of: Letter) -> Verdict | None:
    """What the door found out about it; None when nothing was asked, or it was written here."""
    packed = frame.parts().store.verdict(of.row.blob)
    return Verdict.unpack(packed) if packed is not None else None


def content(of: Letter) -> bytes:
    """Its bytes as they came."""
    return frame.parts().store.content(of.row.blob)


def person(address: Address | None) -> Person:
    """How somebody is shown; for our own people the directory's name wins over what a letter claims."""
    if address is None:
        return Person(t("mail.nobody"), "", "?", "", False, False)
    accounts = frame.parts().accounts
    known = accounts.by_address(address.address)
    name = known.name if known is not None else address.name or address.address
    agency = accounts.agency_number(known.agency) if known is not None and known.role == "registry" else None
    mark = agency.short[:4] if agency is not None else shown.initials(name)
    ours = accounts.is_ours(address.address)
    return Person(name, address.address, mark, shown.tint(address.address), agency is not None, ours)


def listing(of: Place, show: str, before: int | None) -> Listing:
    """The newest letters of a mailbox below UID ``before``, all or those that ``show`` names."""
    store = frame.parts().store
    if show == "all":
        rows = store.newest(of.box.ref, PAGE + 1, before)
        pairs = [(of, row) for row in rows[:PAGE]]
        return _grouped(_lines(pairs), rows[PAGE - 1].uid if len(rows) > PAGE else None, False)
    wanted: Callable[[Row, Summary], bool]
    if show == "unread":
        wanted = lambda row, _: not row.flags & SEEN  # noqa: E731
    elif show == "flagged":
        wanted = lambda row, _: bool(row.flags & FLAGGED)  # noqa: E731
    else:
        wanted = lambda _, summary: summary.has_attachment  # noqa: E731
    found, cut = _sift([of], wanted, before)
    older = found[PAGE - 1][1].uid if len(found) > PAGE else None
    return _grouped([_line(one, row, summary) for one, row, summary in found[:PAGE]], older, cut)


def search(within: list[Place], query: str, before: int | None) -> Listing:
    """A window of the letters of ``within`` that match ``query`` (`finding.understood`), newest mailbox pages first.

    On a page those with the words as typed come first, then those with the whole phrase.
    """
    asked = finding.understood(query)
    one_box = len(within) == 1
    found, cut = finding.newest(frame.parts().searches, within, asked, before if one_box else None, PAGE)
    more = len(found) > PAGE
    shown_here = found[:PAGE] if one_box else sorted(found, key=lambda one: -one[1].internaldate_us)[:PAGE]
    older = min(row.uid for _, row, _ in shown_here) if one_box and more else None
    shown_here.sort(key=finding.nearness(asked))
    lines = [_line(of, row, summary) for of, row, summary in shown_here]
    return Listing([("", lines)] if lines else [], len(lines), older, cut or (more and not one_box))


def _sift(
    within: list[Place], wanted: Callable[[Row, Summary], bool], before: int | None
) -> tuple[list[tuple[Place, Row, Summary]], bool]:
    """Letters that are ``wanted``, newest first, at most a page and one of each mailbox; True when cut short."""
    store = frame.parts().store
    found: list[tuple[Place, Row, Summary]] = []
    looked, cut = 0, False
    for of in within:
        here: list[tuple[Place, Row, Summary]] = []
        for rows in _chunks(of, before):
            known = store.summaries([one.blob for one in rows])
            here += [
                (of, row, known[row.blob])
                for row in rows
                if row.blob in known and wanted(row, known[row.blob])
            ]
            looked += len(rows)
            if len(here) > PAGE:
                break
            if looked >= _LOOKED_THROUGH:
                cut = True
                break
        found += here[: PAGE + 1]
        if cut:
            break
    return found, cut


def _chunks(of: Place, before: int | None) -> Iterator[list[Row]]:
    while True:
        rows = frame.parts().store.newest(of.box.ref, _CHUNK, before)
        if rows:
            yield rows
        if len(rows) < _CHUNK:
            return
        before = rows[-1].uid


def _lines(pairs: list[tuple[Place, Row]]) -> list[Line]:
    known = frame.parts().store.summaries([row.blob for _, row in pairs])
    return [_line(of, row, known[row.blob]) for of, row in pairs if row.blob in known]


def _line(of: Place, row: Row, summary: Summary) -> Line:
    people = summary.to if of.kind in _BY_RECIPIENT else summary.from_
    return Line(
        slug=of.slug,
        uid=row.uid,
        who=person(people[0] if people else None),
        more=max(0, len(people) - 1),
        subject=summary.subject or t("mail.no-subject"),
        preview=summary.preview,
        at_us=row.internaldate_us,
        unread=not row.flags & SEEN,
        flagged=bool(row.flags & FLAGGED),
        answered=bool(row.flags & ANSWERED),
        draft=bool(row.flags & DRAFT),
        files=summary.has_attachment,
    )


def _grouped(lines: list[Line], older: int | None, cut: bool) -> Listing:
    lines.sort(key=lambda one: -one.at_us)
    groups = itertools.groupby(lines, key=lambda one: shown.day_group(one.at_us))
    return Listing([(key, list(some)) for key, some in groups], len(lines), older, cut)


def may_send_as(account: Account) -> list[str]:
    """The addresses ``account`` may write from, its own first."""
    return own_addresses(frame.parts().accounts, account)
