# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail processes that share their ports: what one takes the others show, and one that dies harms nobody else."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
from collections.abc import Iterator

import pytest

from tests.running import Demo, eventually


@pytest.fixture
def demo() -> Iterator[Demo]:
    """With two mail processes, however many cores there are."""
    made = Demo()
    made.start()
    if len(made.ready["pids"]["mail"]) != 2:
        made.congvan("stop")
        file = made.folder / "province.toml"
        file.write_text(file.read_text().replace("\nprocesses = 0", "\nprocesses = 2"))
        made.start()
    yield made
    made.stop()


def place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def serving(demo: Demo, connections: int) -> list[imaplib.IMAP4]:
    return [imaplib.IMAP4(*place(demo.ready["imap"])) for _ in range(connections)]


def test_two_processes_serve_and_one_dies(demo: Demo) -> None:
    """The kernel gives either its share; a session of the living one goes on, and the dead one comes again."""
    who = demo.account("civil-servant", "H12.05")
    pids = demo.ready["pids"]["mail"]
    assert len(pids) == 2
    sessions = serving(demo, 24)
    for one in sessions:
        one.login(who["address"], who["password"])
        one.select("INBOX")
    with smtplib.SMTP(*place(demo.ready["smtp"])) as client:
        client.sendmail("out@elsewhere.example", [who["address"]], "Subject: shared\r\n\r\nx\r\n")
    for one in sessions:
        assert one.search(None, "SUBJECT", "shared")[1] != [b""]
    os.kill(pids[0], signal.SIGKILL)
    living = 0
    for one in sessions:
        try:
            living += one.noop()[0] == "OK"
            one.logout()
        except (OSError, imaplib.IMAP4.error):
            continue
    assert 0 < living < 24

    def again() -> bool:
        demo.reread()
        found = demo.ready["pids"]["mail"]
        return pids[0] not in found and pids[1] in found and demo.congvan("status")["running"]

    eventually(again, 60)
    for one in serving(demo, 24):
        one.login(who["address"], who["password"])
        one.logout()
