# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two IMAP processes on one store: what a client of one does, a client idling at the other is told at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailserver.imap import server as serving
from tests.mailserver.imap.conftest import Served
from tests.mailserver.imap.dialogue import Wire


@pytest.fixture
def other(served: Served, tmp_path: Path) -> Iterator[int]:
    """The port of a second process."""
    province, port_file = served.province, tmp_path / "other.port"
    child = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.mailserver.imap.other_process"),
            *(province.database.url, str(tmp_path / "write.lock"), str(tmp_path / "segments")),
            *(str(province.wake._folder), str(port_file)),
        ],
        cwd=Path(__file__).parents[3],
    )
    deadline = time.monotonic() + 60
    while not port_file.exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield int(port_file.read_text())
    child.kill()
    child.wait()


def _selected(port: int, served: Served, password: str) -> Wire:
    wire = Wire(port)
    wire.line()
    assert b" OK " in wire.command(f"LOGIN {served.person('cv1').address} {password}")[-1]
    wire.command("SELECT INBOX")
    return wire


def test_changes_are_pushed_between_processes_by_wake_up(
    served: Served, other: int, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways: new mail, flags, expunges; with no look of the sweeper, so it is the wake-up that told."""
    monkeypatch.setattr(serving.Connection, "sweep", lambda self, now: None)
    served.fill(2)
    here, there = _selected(served.port, served, password), _selected(other, served, password)
    here.send(b"i IDLE\r\n")
    assert here.line() == b"+ idling"
    there.command("STORE 1 +FLAGS (\\Flagged)")
    assert here.line() == b"* 1 FETCH (UID 1 FLAGS (\\Flagged))"
    there.command(b"APPEND INBOX {4+}\r\nabcd")
    assert [here.line(), here.line()] == [b"* 3 EXISTS", b"* 0 RECENT"]
    there.command("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert here.line() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted))"
    there.command("EXPUNGE")
    assert here.line() == b"* 2 EXPUNGE"
    here.send(b"DONE\r\n")
    assert here.line() == b"i OK Done"
    there.send(b"i IDLE\r\n")
    assert there.line() == b"+ idling"
    here.command("STORE 1 -FLAGS (\\Flagged)")
    assert there.line() == b"* 1 FETCH (UID 1 FLAGS ())"


def test_numbers_hold_while_another_process_expunges(served: Served, other: int, password: str) -> None:
    """RFC 9051 §7.5.1: a running FETCH is not renumbered; the EXPUNGE comes with the next NOOP."""
    served.fill(300)
    here, there = _selected(served.port, served, password), _selected(other, served, password)
    there.command("STORE 1:100 +FLAGS.SILENT (\\Deleted)")
    here.send(b"f FETCH 1:300 (UID BODY.PEEK[])\r\n")
    there.command("EXPUNGE")
    lines = here.until(b"f")
    numbers = [one for one in lines if one.startswith(b"* ") and b" FETCH (UID " in one]
    assert numbers
    for one in numbers:
        words = one.split()
        assert words[1] == words[4]  # message N still has UID N
    assert not any(one.endswith(b" EXPUNGE") for one in lines)
    assert sum(one.endswith(b" EXPUNGE") for one in here.command("NOOP")) == 100
