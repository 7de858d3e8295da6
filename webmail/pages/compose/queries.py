# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a new letter begins with: an answer, a forwarded letter, a draft; and the files it carries along."""

from __future__ import annotations

import re
from typing import Literal

from config.refusal import Refused
from mailserver.message import Address, Summary, body_bytes, html_text
from webmail import frame, shown
from webmail.errors import NotThere
from webmail.language import current, t
from webmail.pages.compose.forms import Answered, Kept, Upload, Writing
from webmail.pages.compose.message import Thread
from webmail.pages.mail import queries, reading
from webmail.pages.mail.queries import Letter

_QUOTED = 40_000
_SPECIAL = re.compile(r"[,;<>\"@()\[\]\\:]")


def answered_letter(answered: Answered) -> Letter:
    """The letter that is answered. Raises `NotThere`, `NoSuchPlace`."""
    return queries.letter(queries.place(answered.mailbox), answered.uid)


def beginning(answered: Answered) -> Writing:
    """A reply, a reply to all or a forwarded letter, with quoted text."""
    letter = answered_letter(answered)
    summary = letter.summary
    own = queries.may_send_as(frame.account())
    sender = _own_side(summary, own, letter)
    if answered.how == "forward":
        kept = tuple(Kept(answered.mailbox, answered.uid, one.path) for one in reading.files(summary))
        subject = _subject(summary, t("compose.forward-mark"))
        return Writing(sender=sender, subject=subject, body=_forwarded(letter), kept=kept, answered=answered)
    first = list(summary.reply_to or summary.from_)
    if all(one.address.lower() in own for one in first) and summary.to:
        first = list(summary.to)  # answering one's own letter goes on to its recipients
    rest: list[Address] = []
    if answered.how == "all":
        taken = {one.address.lower() for one in first} | set(own)
        rest = [one for one in (*summary.to, *summary.cc) if one.address and one.address.lower() not in taken]
    return Writing(
        sender=sender,
        to=_written(first),
        cc=_written(rest),
        subject=_subject(summary, t("compose.reply-mark")),
        body=_answer(letter),
        answered=answered,
    )


def draft(uid: int) -> Writing:
    """A draft of one's own, to go on with."""
    letter = queries.letter(queries.place("drafts"), uid)
    summary = letter.summary
    return Writing(
        sender=summary.from_[0].address.lower() if summary.from_ else "",
        to=_written(list(summary.to)),
        cc=_written(list(summary.cc)),
        subject=summary.subject,
        body=_text(letter),
        kept=tuple(Kept("drafts", uid, one.path) for one in reading.files(summary)),
        draft=uid,
    )


def thread(answered: Answered | None) -> Thread | None:
    """The ids of the answered letter."""
    if answered is None or answered.how == "forward":
        return None
    summary = answered_letter(answered).summary
    return Thread(summary.message_id, summary.references) if summary.message_id else None


def kept_file(kept: Kept) -> Upload:
    """The content of a file that is carried along. Raises `NotThere`."""
    letter = queries.letter(queries.place(kept.mailbox), kept.uid)
    part = letter.summary.part(kept.path)
    if part is None or part.is_multipart:
        raise NotThere
    return Upload(reading.file_name(part), part.type, body_bytes(queries.content(letter), part))


def kept_names(writing: Writing) -> list[tuple[str, str, int]]:
    """(form value, name, octets) of the files that are carried along, for the form."""
    found = []
    for one in writing.kept:
        try:
            letter = queries.letter(queries.place(one.mailbox), one.uid)
        except Refused:
            continue  # gone meanwhile: the form says so, and keeps what was written
        known = next((file for file in reading.files(letter.summary) if file.path == one.path), None)
        if known is not None:
            found.append((one.value, known.name, known.octets))
    return found


def _own_side(summary: Summary, own: list[str], letter: Letter) -> str:
    if letter.place.shared and not letter.place.lent_by and len(own) > 1:
        return own[1]
    meant = [one.address.lower() for one in (*summary.to, *summary.cc)]
    return next((one for one in own if one in meant), own[0])


def _written(people: list[Address]) -> str:
    return ", ".join(_with_name(one) for one in people if one.address)


def _with_name(one: Address) -> str:
    """A stranger's name is only a claim, so that the address alone is shown; our people have their names."""
    known = frame.parts().accounts.by_address(one.address)
    return f"{known.name} <{one.address}>" if known and not _SPECIAL.search(known.name) else one.address


def _subject(summary: Summary, mark: str) -> str:
    known = ("re:", "fw:", "fwd:", "tl:", "ct:")
    subject = summary.subject
    while subject.lower().startswith(known):
        subject = subject.partition(":")[2].strip()
    return f"{mark} {subject}"


def _text(letter: Letter) -> str:
    preferred: Literal["text"] = "text"
    found, _ = reading.pieces(queries.content(letter), letter.summary, prefer=preferred)
    return "\n\n".join(html_text(one.text) if one.kind == "html" else one.text for one in found)


def _answer(letter: Letter) -> str:
    summary = letter.summary
    at = summary.date_us or letter.row.internaldate_us
    who = queries.person(summary.from_[0] if summary.from_ else None).name
    quoted = "\n".join(f"> {line}".rstrip() for line in _text(letter)[:_QUOTED].strip().splitlines())
    words = t("compose.wrote", who=who, day=shown.day(at), clock=shown.clock(at))
    return f"\n\n{words}\n{quoted}\n"


def _forwarded(letter: Letter) -> str:
    summary = letter.summary
    at = summary.date_us or letter.row.internaldate_us
    head = [
        t("compose.forwarded-head"),
        f"{t('mail.from')}: {_named(list(summary.from_))}",
        f"{t('mail.date')}: {shown.moment(at, current())}",
        f"{t('mail.subject')}: {summary.subject}",
        f"{t('mail.to')}: {_named(list(summary.to))}",
    ]
    return "\n\n" + "\n".join(head) + "\n\n" + _text(letter)[:_QUOTED]


def _named(people: list[Address]) -> str:
    return ", ".join(f"{one.name} <{one.address}>" if one.name else one.address for one in people[:50])
