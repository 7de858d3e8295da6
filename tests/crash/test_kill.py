# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 under load: everything that got a 250 is in its mailbox afterwards, and the store is whole."""

from __future__ import annotations

import imaplib
import os
import random
import signal
import smtplib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import Demo, eventually

_KILLS = int(os.environ.get("CONGVAN_CRASH_KILLS", "4"))
"""``make crash`` sets 40; the supervisor waits up to 30 s before a start that follows others."""


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    made = Demo()
    made.start()
    yield made
    made.stop()


def host_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


class Sender(threading.Thread):
    """Sends numbered letters and remembers which were acknowledged."""

    def __init__(self, demo: Demo, name: str, receiver: str) -> None:
        super().__init__(daemon=True)
        self.demo, self.label, self.receiver = demo, name, receiver
        self.acknowledged: list[str] = []
        self.ending = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            try:
                with smtplib.SMTP(*host_port(self.demo.ready["smtp"]), timeout=10) as client:
                    while not self.ending.is_set():
                        number += 1
                        mark = f"{self.label}-{number}"
                        client.sendmail("out@elsewhere.example", [self.receiver], letter(mark))
                        self.acknowledged.append(mark)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)


def letter(mark: str) -> bytes:
    return f"From: out@elsewhere.example\r\nTo: x@y.example\r\nSubject: {mark}\r\n\r\n{mark}\r\n".encode() * 1


def subjects(demo: Demo, who: dict[str, str]) -> set[str]:
    with imaplib.IMAP4(*host_port(demo.ready["imap"])) as client:
        client.login(who["address"], who["password"])
        client.select("INBOX", readonly=True)
        _, answer = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found: list[Any] = [one[1] for one in answer if isinstance(one, tuple)]
    return {text.decode().partition(":")[2].strip() for text in found}


def test_nothing_acknowledged_is_lost(demo: Demo) -> None:
    chance = random.Random(7)
    who = demo.account("civil-servant", "H12.05")
    senders = [Sender(demo, f"s{n}", who["address"]) for n in range(4)]
    for one in senders:
        one.start()
    for _ in range(_KILLS):
        before = sum(len(one.acknowledged) for one in senders)
        eventually(lambda b=before: sum(len(one.acknowledged) for one in senders) > b + 20)
        time.sleep(chance.random() * 0.2)
        demo.reread()
        victim = demo.ready["pids"]["mail"][0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda v=victim: _mail_pid(demo) not in (None, v), 120)
    for one in senders:
        one.ending.set()
    for one in senders:
        one.join(20)
    acknowledged = {mark for one in senders for mark in one.acknowledged}
    assert len(acknowledged) > 20 * _KILLS
    there = subjects(demo, who)
    assert acknowledged - there == set()
    report = demo.congvan("verify-data")
    assert report["ok"], report["problems"]
    assert demo.congvan("audit", "verify")["ok"]


def _mail_pid(demo: Demo) -> int | None:
    demo.reread()
    pid = int(demo.ready["pids"]["mail"][0])
    try:
        with smtplib.SMTP(*host_port(demo.ready["smtp"]), timeout=2):
            return pid
    except (OSError, smtplib.SMTPException):
        return None


def test_the_children_end_with_their_supervisor(demo: Demo) -> None:
    demo.reread()
    pids = demo.ready["pids"]
    os.kill(pids["supervisor"], signal.SIGKILL)
    others = [pid for role, found in pids.items() if role != "supervisor" for pid in found]
    eventually(lambda: not any(_alive(pid) for pid in others))
    demo.start()
    assert demo.congvan("status")["running"]


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
