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
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import Demo, eventually

_KILLS = int(os.environ.get("CONGVAN_CRASH_KILLS", "4"))
"""``make crash`` sets 200."""


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
        self.ending, self.going = threading.Event(), threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            try:
                with smtplib.SMTP(*host_port(self.demo.ready["smtp"]), timeout=10) as client:
                    while not self.ending.is_set():
                        self.going.wait()
                        number += 1
                        mark = f"{self.label}-{number}"
                        client.sendmail("out@elsewhere.example", [self.receiver], letter(mark))
                        self.acknowledged.append(mark)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)


def letter(mark: str) -> bytes:
    return f"From: out@elsewhere.example\r\nTo: x@y.example\r\nSubject: {mark}\r\n\r\n{mark}\r\n".encode()


def subjects(demo: Demo, who: dict[str, str]) -> Counter[str]:
    """How often each subject stands in the INBOX."""
    with imaplib.IMAP4(*host_port(demo.ready["imap"])) as client:
        client.login(who["address"], who["password"])
        client.select("INBOX", readonly=True)
        _, answer = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found: list[Any] = [one[1] for one in answer if isinstance(one, tuple)]
    return Counter(text.decode().partition(":")[2].strip() for text in found)


def test_nothing_acknowledged_is_lost(demo: Demo) -> None:
    """One mail process, all of them, or the worker, killed while four senders send; the store is proved each time."""
    chance = random.Random(7)
    who = demo.account("civil-servant", "H12.05")
    senders = [Sender(demo, f"s{n}", who["address"]) for n in range(4)]
    for one in senders:
        one.going.set()
        one.start()
    for number in range(_KILLS):
        before = sum(len(one.acknowledged) for one in senders)
        eventually(lambda b=before: sum(len(one.acknowledged) for one in senders) > b + 20, 60)
        time.sleep(chance.random() * 0.2)
        demo.reread()
        pids = demo.ready["pids"]
        victims = [pids["mail"], [chance.choice(pids["mail"])], pids["worker"]][number % 3]
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        eventually(lambda v=set(victims): serving(demo) and not v & set(all_pids(demo)), 60)
        for one in senders:
            one.going.clear()  # or the store grows faster than it can be proved whole
        verified(demo)
        for one in senders:
            one.going.set()
    for one in senders:
        one.ending.set()
    for one in senders:
        one.join(20)
    acknowledged = {mark for one in senders for mark in one.acknowledged}
    there = subjects(demo, who)
    lost, twice = acknowledged - there.keys(), [mark for mark, count in there.items() if count > 1]
    print(
        f"{_KILLS} kills, {len(acknowledged)} letters acknowledged, {sum(there.values())} arrived, "
        f"{len(lost)} lost, {len(twice)} twice"
    )
    assert len(acknowledged) > 20 * _KILLS
    assert (lost, twice) == (set(), [])
    verified(demo)
    assert demo.congvan("audit", "verify")["ok"]


def verified(demo: Demo) -> None:
    report = demo.congvan("verify-data")
    assert report["ok"], report["problems"]


def all_pids(demo: Demo) -> list[int]:
    demo.reread()
    return [
        pid
        for found in demo.ready["pids"].values()
        for pid in (found if isinstance(found, list) else [found])
    ]


def serving(demo: Demo) -> bool:
    """Every process of every role that ready.json names is alive, and mail is taken."""
    try:
        with smtplib.SMTP(*host_port(demo.ready["smtp"]), timeout=2):
            return all(_alive(pid) for pid in all_pids(demo))
    except (OSError, smtplib.SMTPException):
        return False


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
