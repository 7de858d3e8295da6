# SPDX-License-Identifier: AGPL-3.0-or-later
"""Several sessions in one mailbox: whatever they do, each client's picture is the store's in the end."""

from __future__ import annotations

import random
import re

import pytest

from tests.mailserver.imap.conftest import Served, message
from tests.mailserver.imap.dialogue import Wire

_EXISTS = re.compile(rb"\* (\d+) EXISTS")
_EXPUNGE = re.compile(rb"\* (\d+) EXPUNGE")
_VANISHED = re.compile(rb"\* VANISHED ([\d:,]+)")
_FETCH = re.compile(rb"\* (\d+) FETCH \((?:UID (\d+) )?FLAGS \(([^)]*)\)")


class Client:
    """What a client that believes the untagged responses knows: UIDs and flags by sequence number."""

    def __init__(self, served: Served, password: str, *, qresync: bool) -> None:
        self.wire = Wire(served.port)
        self.wire.line()
        self.wire.command(f"LOGIN {served.person('cv1').address} {password}")
        self.uids: list[int | None] = []
        self.flags: dict[int, frozenset[bytes]] = {}
        if qresync:
            self.wire.command("ENABLE QRESYNC")
        self.do("SELECT INBOX")

    def do(self, command: str) -> bytes:
        """Give a command, believe what comes."""
        lines = self.wire.command(command)
        quiet = command.split(maxsplit=1)[0] in ("FETCH", "STORE", "SEARCH")
        for line in lines[:-1]:
            if found := _EXISTS.match(line):
                assert int(found[1]) >= len(self.uids), line
                self.uids += [None] * (int(found[1]) - len(self.uids))
            elif found := _EXPUNGE.match(line):
                assert not quiet, command
                del self.uids[int(found[1]) - 1]
            elif found := _VANISHED.match(line):
                assert not quiet, command
                for one in found[1].split(b","):
                    low, _, high = one.partition(b":")
                    self.uids = [
                        uid for uid in self.uids if uid is None or not int(low) <= uid <= int(high or low)
                    ]
            elif found := _FETCH.match(line):
                at = int(found[1]) - 1
                uid = int(found[2]) if found[2] else self.uids[at]
                assert uid is not None
                assert self.uids[at] in (None, uid), f"{line!r} against {self.uids[at]}"
                self.uids[at] = uid
                self.flags[uid] = frozenset(found[3].split())
        return lines[-1]


@pytest.mark.parametrize("seed", range(12))
def test_pictures_agree(served: Served, password: str, seed: int) -> None:
    """Random commands of three sessions and deliveries between them; EXPUNGE is never sent where it may not be."""
    chance = random.Random(seed)
    served.fill(6)
    clients = [Client(served, password, qresync=number == 2) for number in range(3)]
    clients[2].do("UID FETCH 1:* (FLAGS)")  # a QRESYNC client knows its UIDs
    for step in range(60):
        one = chance.choice(clients)
        count = max(len(one.uids), 1)
        low, high = sorted((chance.randint(1, count), chance.randint(1, count)))
        choice = chance.randrange(12)
        if choice == 0:
            served.put(message(f"mới {step}"))
        elif choice == 1:
            one.do(f"STORE {low}:{high} +FLAGS (\\Deleted)")
        elif choice == 2:
            one.do("EXPUNGE")
        elif choice == 3:
            one.do(f"STORE {low} {chance.choice('+-')}FLAGS (\\Flagged $k{chance.randrange(3)})")
        elif choice == 4:
            one.do(f"UID STORE {low}:* -FLAGS (\\Deleted)")
        elif choice == 5:
            one.do(f"COPY {low} INBOX")
        elif choice == 6:
            one.do(f"MOVE {low} INBOX")
        elif choice == 7:
            one.do(f"FETCH {low}:{high} (UID FLAGS)")
        elif choice == 8:
            one.do("SEARCH ALL")
        elif choice == 9:
            one.do(f"STORE {low}:{high} +FLAGS.SILENT (\\Seen)")
            one.do("UID FETCH 1:* (FLAGS)")
        else:
            one.do("NOOP")
        clients[2].do("UID FETCH 1:* (FLAGS)")
    rows = served.store.uid_map(served.inbox())
    for one in clients:
        one.do("NOOP")
        known = [uid for uid in one.uids if uid is not None]
        assert len(one.uids) == len(rows)
        assert set(known) <= {row.uid for row in rows}
        one.do("FETCH 1:* (UID FLAGS)")
        assert one.uids == [row.uid for row in rows]
        for row in rows:
            assert (b"\\Deleted" in one.flags[row.uid]) is bool(row.flags & 8)
        one.wire.close()


def test_flags_told_are_the_flags_there_are(served: Served, password: str) -> None:
    """Without asking for flags a client ends up knowing them, keywords too."""
    served.fill(5)
    reader, writer = Client(served, password, qresync=False), Client(served, password, qresync=False)
    reader.do("FETCH 1:* (UID FLAGS)")
    writer.do("STORE 1:3 +FLAGS.SILENT (\\Seen $A)")
    writer.do("STORE 2 -FLAGS.SILENT ($A)")
    writer.do("STORE 4 FLAGS.SILENT ($B \\Draft)")
    reader.do("NOOP")
    told = dict(reader.flags)
    reader.do("FETCH 1:* (UID FLAGS)")
    assert told == reader.flags
    assert reader.flags[4] == {b"$B", b"\\Draft"}


def test_a_bulk_of_changes_is_few_lines(served: Served, password: str) -> None:
    """1,000 flag changes and expunges reach an idling session whole."""
    served.fill(120)
    idler, writer = Client(served, password, qresync=False), Client(served, password, qresync=False)
    idler.do("FETCH 1:* (UID FLAGS)")
    idler.wire.send(b"i IDLE\r\n")
    assert idler.wire.line() == b"+ idling"
    writer.do("STORE 1:100 +FLAGS.SILENT (\\Deleted)")
    writer.do("EXPUNGE")
    expunged = 0
    while expunged < 100:
        line = idler.wire.line()
        assert line is not None
        expunged += b"EXPUNGE" in line
    idler.wire.send(b"DONE\r\n")
    idler.wire.until(b"i")


def test_q16_resynchronising_after_an_absence(served: Served, password: str) -> None:
    """Q16: a QRESYNC client that was away hears in SELECT what vanished and what changed, and only that."""
    served.fill(6)
    away, other = Client(served, password, qresync=True), Client(served, password, qresync=False)
    lines = away.wire.command("SELECT INBOX")
    told = b" ".join(lines)
    uidvalidity = re.findall(rb"UIDVALIDITY (\d+)", told)[0].decode()
    modseq = re.findall(rb"HIGHESTMODSEQ (\d+)", told)[0].decode()
    away.wire.command("LOGOUT")
    other.do("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    other.do("EXPUNGE")
    other.do("STORE 1 +FLAGS (\\Seen)")
    served.put(message("mới"))
    back = Client(served, password, qresync=True)
    lines = back.wire.command(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq} 1:6))")
    assert b"* VANISHED (EARLIER) 2,4" in lines
    assert [one for one in lines if b"FETCH" in one] == [b"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (10))"]
    lines = back.wire.command(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
    assert len([one for one in lines if b"FETCH" in one]) == 2
    lines = back.wire.command(f"SELECT INBOX (QRESYNC (1 {modseq}))")
    assert not [one for one in lines if b"FETCH" in one or b"VANISHED" in one]


def test_an_idler_that_never_looked_hears_of_everything(served: Served, password: str) -> None:
    """SELECT and IDLE at once: the arrays are not read, and still numbers and flags told are right."""
    served.fill(4)
    idler, writer = Client(served, password, qresync=False), Client(served, password, qresync=False)
    idler.wire.send(b"i IDLE\r\n")
    assert idler.wire.line() == b"+ idling"
    served.put(message("năm"))
    assert idler.wire.line() == b"* 5 EXISTS"
    assert idler.wire.line() == b"* 0 RECENT"
    writer.do("NOOP")
    writer.do("STORE 2 +FLAGS (\\Deleted)")
    assert idler.wire.line() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted))"
    writer.do("EXPUNGE")
    assert idler.wire.line() == b"* 2 EXPUNGE"
    served.put(message("sáu"))
    assert idler.wire.line() == b"* 5 EXISTS"


def test_a_shared_mailbox_is_followed_like_any_other(served: Served, password: str) -> None:
    """What comes into the registry mailbox reaches the idling clerk."""
    registry = served.province.home.registry
    found = served.store.find(registry, "INBOX")
    assert found is not None
    clerk = Wire(served.port)
    clerk.line()
    clerk.command(f"LOGIN {served.person('vt1').address} {password}")
    clerk.command(f"SELECT Shared/{served.province.home.registry_address}")
    clerk.send(b"i IDLE\r\n")
    assert clerk.line() == b"+ idling"
    served.run(served.store.append(found, message("văn bản đến"), 0, 1))
    assert clerk.line() == b"* 1 EXISTS"
