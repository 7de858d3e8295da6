# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is kept for speed changes no answer: sealed pages of rendered messages, whole answers of SEARCH, SORT, THREAD."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mailserver.imap import rendering
from mailserver.imap.pages import Pages
from mailserver.search import pages, schema
from mailserver.search.building import Builder
from mailserver.store import SEEN
from mailserver.store.flagging import Foreseen
from tests.mailserver.imap.conftest import Served, message
from tests.mailserver.imap.dialogue import Wire

FETCHES = (
    "FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE FLAGS INTERNALDATE)",
    'FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (FROM SUBJECT "X%d" X-LONG)])',
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)]<3.9> ENVELOPE)",
    "UID FETCH 5,9,17:* (FLAGS RFC822.SIZE)",
    "FETCH 2:18 (INTERNALDATE)",
    "FETCH 1:* (UID ENVELOPE PREVIEW)",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (DATE)] FLAGS)",
    "FETCH 3:4,7:* (UID MODSEQ ENVELOPE)",
)


def _signed_in(served: Served, password: str) -> Wire:
    wire = Wire(served.port)
    wire.line()
    wire.command(f"LOGIN {served.person('cv1').address} {password}")
    wire.command("SELECT INBOX")
    return wire


def _untagged(wire: Wire, command: str) -> list[bytes]:
    lines = wire.command(command)
    assert b" OK" in lines[-1], lines[-1]
    return lines[:-1]


def test_sealed_pages_answer_as_summaries_do(
    served: Served, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of 8 with gaps in their UIDs, a header too long for them, a tail behind them, one page damaged."""
    monkeypatch.setattr(pages, "PAGE", 8)
    for number in range(22):
        extra = f"X%d: {number}\r\n".encode() + (b"X-Long: " + b"y" * 9000 + b"\r\n" if number == 3 else b"")
        served.put(extra + message(f"thư {number}"), flags=SEEN if number % 3 else 0)
    wire = _signed_in(served, password)
    wire.command("STORE 5,11 +FLAGS (\\Deleted)")
    wire.command("EXPUNGE")
    before = [_untagged(wire, one) for one in FETCHES]
    services = served.server.services
    Builder(served.store).catch_up()
    for damaged in (False, True):
        if damaged:
            served.store.database.write(
                lambda conn: conn.execute(
                    sa.update(schema.page)
                    .where(schema.page.c.kind == "envelope", schema.page.c.first_uid > 1)
                    .values(sealed=b"x" * 60)
                )
            )
        for kept in (rendering.KEPT, 5):  # with the smaller figure all but one are written page by page
            monkeypatch.setattr(rendering, "KEPT", kept)
            object.__setattr__(services, "pages", Pages())
            assert [_untagged(wire, one) for one in FETCHES] == before


def test_kept_answers_follow_the_mailbox(served: Served, password: str) -> None:
    """The same question again: after a message came, flags changed, a message went, and in another session."""
    served.put(message("b"))
    served.put(message("c"))
    wire, other = _signed_in(served, password), _signed_in(served, password)
    questions = {
        "UID SORT (SUBJECT) UTF-8 ALL": [[b"* SORT 1 2"], [b"* SORT 3 1 2"], [b"* SORT 3 1"]],
        "SORT (SUBJECT) UTF-8 ALL": [[b"* SORT 1 2"], [b"* SORT 3 1 2"], [b"* SORT 2 1"]],
        "UID THREAD REFERENCES UTF-8 ALL": [
            [b"* THREAD (1)(2)"],
            [b"* THREAD (1)(2)(3)"],
            [b"* THREAD (1)(3)"],
        ],
        "UID SEARCH UNSEEN": [[b"* SEARCH 1 2"], [b"* SEARCH 2 3"], [b"* SEARCH 3"]],
        "UID SEARCH SUBJECT c": [[b"* SEARCH 2"], [b"* SEARCH 2"], [b"* SEARCH"]],
    }

    def asked(stage: int) -> None:
        for one in (wire, other):
            _untagged(one, "NOOP")
            for _ in range(2):
                for question, answers in questions.items():
                    assert _untagged(one, question) == answers[stage]
                ours = _untagged(one, "SEARCH RETURN (COUNT) ALL")
                count = (2, 3, 2)[stage]
                assert [line.split(b") ")[1] for line in ours] == [b"COUNT %d" % count]

    asked(0)
    served.put(message("a"))
    _untagged(wire, "STORE 1 +FLAGS.SILENT (\\Seen)")
    asked(1)
    _untagged(other, "STORE 2 +FLAGS.SILENT (\\Deleted)")
    _untagged(other, "EXPUNGE")
    asked(2)


def test_the_tag_of_a_kept_answer_is_the_commands_own(served: Served, password: str) -> None:
    """ESEARCH names the command it answers (RFC 4466 §2.6.2)."""
    served.put(message("b"))
    wire = _signed_in(served, password)
    wire.send(b"x1 SEARCH RETURN (ALL) SUBJECT b\r\nx2 NOOP\r\nx3 SEARCH RETURN (ALL) SUBJECT b\r\n")
    lines = [wire.line() for _ in range(5)]
    assert lines[0] == b'* ESEARCH (TAG "x1") ALL 1'
    assert lines[3] == b'* ESEARCH (TAG "x3") ALL 1'


def test_flags_foreseen_from_an_old_picture_are_looked_up(served: Served) -> None:
    """Who is mistaken about the mailbox changes what really differs, and the counters stay right."""
    store, ref = served.store, served.inbox()
    uids = [served.put(message(f"thư {number}")) for number in range(3)]
    old = store.mailbox(ref)
    assert old is not None
    foreseen = Foreseen(old.highestmodseq, uids, -3)
    served.run(store.set_flags(ref, uids[:1], "add", SEEN))
    done = served.run(store.flag(ref, uids, "add", SEEN, foreseen))
    now = store.mailbox(ref)
    assert now is not None
    assert (done.foreseen, done.changed, now.unseen) == (False, uids[1:], 0)
    right = Foreseen(now.highestmodseq, uids, 3)
    done = served.run(store.flag(ref, uids, "remove", SEEN, right))
    now = store.mailbox(ref)
    assert now is not None
    assert (done.foreseen, done.changed, done.modseq, now.unseen) == (True, uids, now.highestmodseq, 3)
    assert [row[1:] for row in store.marks(ref)] == [(0, done.modseq)] * 3
