# SPDX-License-Identifier: AGPL-3.0-or-later
"""No command on a mailbox of 10,000 holds the event loop: CPU of its thread between two turns (DESIGN 4.5).

The design asks for about 2 ms. The limit here is three times that on a machine that counts to 20,000 in 1 ms, and longer on
a slower one by as much as it is slower at that moment: a whole command over 10,000 messages takes 10 to 1,000 ms. A turn that was over it is looked at again, as the first
use of a query or a page fault of the machine is not the command's. Python's collector is off meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.mailserver.imap.conftest import Served
from tests.mailserver.imap.dialogue import Wire
from tests.mailserver.imap.test_security import signed_in

_MANY = 10_000
_MOST_S = 0.006
_UNIT_S = 0.001
_TRIES = 6
_EACH_SECOND = b",".join(b"%d" % one for one in range(1, _MANY, 2))
LOOKS = (
    b"FETCH 1:* FLAGS",
    b"FETCH 1:* (UID FLAGS MODSEQ)",
    b"FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE FLAGS)",
    b"FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE FLAGS)",
    b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]",
    b"FETCH 1:* (UID BODY.PEEK[])",
    b"FETCH 1:* (PREVIEW EMAILID THREADID SAVEDATE)",
    b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
    b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
    b"UID FETCH 1:* (FLAGS) (PARTIAL -1:-5000)",
    b"UID FETCH %b (FLAGS)" % _EACH_SECOND,
    b"SEARCH UNSEEN SUBJECT x",
    b"UID SEARCH RETURN (ALL COUNT) NOT FLAGGED",
    b"UID SEARCH UID %b" % _EACH_SECOND,
    b"SEARCH RETURN (SAVE) 1:*",
    b"FETCH $ UID",
    b"SEARCH TEXT kinh",
    b"SORT (REVERSE DATE SUBJECT) UTF-8 ALL",
    b"THREAD REFERENCES UTF-8 ALL",
    b"STATUS Nh&AOE-p (MESSAGES UNSEEN SIZE DELETED)",
    b'LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE DELETED))',
    b"NOOP",
)
CHANGES = (
    (b"", b"COPY 1:* Nh&AOE-p"),
    (b"", b"MOVE 1:1500 Nh&AOE-p"),
    (b"STORE 1:1500 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE"),
    (b"STORE 1:1500 +FLAGS.SILENT (\\Deleted)", b"UID EXPUNGE %b" % _EACH_SECOND),
    (b"", b"FETCH 1:* BODY[TEXT]"),
    (b"", b"STORE 1:* +FLAGS (\\Flagged)"),
    (b"STORE 1:* -FLAGS.SILENT (\\Flagged)", b"STORE 1:* +FLAGS.SILENT (\\Flagged $Moi)"),
    (b"", b"STORE 1:* FLAGS (\\Seen)"),
    (b"", b"UID STORE 1:* (UNCHANGEDSINCE 5) +FLAGS (\\Draft)"),
    (b"", b"UID STORE 1:* (UNCHANGEDSINCE 999999999) -FLAGS.SILENT (\\Draft)"),
    (b"", b"UID STORE %b +FLAGS (\\Answered)" % _EACH_SECOND),
    (b"UNSELECT", b"SELECT INBOX"),
    (b"UNSELECT", b"SELECT INBOX (QRESYNC (${v} 1))"),
    (b"UNSELECT", b"SELECT INBOX (QRESYNC (${v} 1 1:10000))"),
)


class Watch:
    """The longest turns of the loop since `fresh`, in s of CPU of its thread."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.over = False

    async def run(self) -> None:
        """Take every turn."""
        last = time.thread_time()
        while not self.over:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - last)
            last = now


@contextmanager
def watched(served: Served) -> Iterator[Watch]:
    """A watch at work, without the collector."""
    watch = Watch()
    gc.collect()
    gc.disable()
    running = asyncio.run_coroutine_threadsafe(watch.run(), served.loop)
    try:
        yield watch
    finally:
        watch.over = True
        gc.enable()
        running.result(30)


def _limit() -> float:
    """`_MOST_S`, for a machine as fast as this one is now."""
    begun = time.thread_time()
    count = 0
    while count < 20_000:
        count += 1
    return _MOST_S * max(1.0, (time.thread_time() - begun) / _UNIT_S)


def _longest(watch: Watch, wire: Wire, before: bytes, command: bytes) -> float:
    """The best of a few runs of the longest turn, in s of a machine of the usual speed."""
    best = 1.0
    for _ in range(_TRIES):
        if before:
            wire.command(before)
        watch.longest = 0.0
        answer = wire.command(command)[-1]
        assert b" OK" in answer, (command, answer)
        best = min(best, watch.longest * _MOST_S / _limit())
        if best <= _MOST_S:
            break
    return best


@pytest.mark.timeout(300)
def test_the_loop_is_never_held(served: Served, password: str) -> None:
    """Neither by the session that asks nor by one that idles in the same mailbox and is told of it all."""
    letter = b"Subject: x %d\r\nFrom: <a%d@b.example>\r\nMessage-ID: <%d@b.example>\r\n\r\nkinh %d"
    rows = [(letter % (n, n % 50, n, n), 0, 1_780_000_000_000_000) for n in range(_MANY)]
    served.run(served.store.append_many(served.inbox(), rows))
    mailbox = served.store.mailbox(served.inbox())
    assert mailbox is not None
    wire, idler = signed_in(served, password), signed_in(served, password)
    wire.command("ENABLE CONDSTORE QRESYNC")
    wire.command("SELECT INBOX")
    idler.command("SELECT INBOX")
    idler.command("FETCH 1:* FLAGS")
    idler.send(b"i IDLE\r\n")
    held = {}
    with watched(served) as watch:
        for before, command in (*((b"", one) for one in LOOKS), *CHANGES):
            text = command.replace(b"${v}", b"%d" % mailbox.uidvalidity)
            held[command[:60]] = _longest(watch, wire, before, text)
    assert {command: spent for command, spent in held.items() if spent > _MOST_S} == {}
