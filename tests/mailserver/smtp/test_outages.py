# SPDX-License-Identifier: AGPL-3.0-or-later
"""The disk is full, the database is gone, while letters come in by SMTP: senders are asked to come again, in words
that say why; when it is repaired everything acknowledged is there and the store is whole.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from config.database import Database
from config.writer import DatabaseUnavailable
from mailserver.store.verify import verify_data
from tests.conftest import PostgreSQL, Province, one_province
from tests.mailserver.smtp.serving import Serving, Talk, serving
from tests.mailserver.smtp.talking import CV1, CV2, begin, data


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root and a machine that lets it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def letter(mark: str, size: int = 0) -> bytes:
    body = b"\r\n".join([os.urandom(30).hex().encode()] * (size // 62))
    return f"From: ai@elsewhere.example\r\nSubject: {mark}\r\n\r\n".encode() + body + b"\r\n.\r\n"


def arrived(mail: Serving, address: str = CV1) -> Counter[str]:
    """How often each subject stands in an INBOX."""
    return Counter(one.partition(b"\nSubject: ")[2].split(b"\r")[0].decode() for one in mail.inbox(address))


def whole(province: Province) -> None:
    assert verify_data(province.database, province.segments, province.seal).problems == []


@pytest.mark.parametrize("size", [500, 40_000, 1_500_000], ids=["small", "middle", "spooled"])
def test_a_full_disk_defers_and_heals(size: int, tmp_path: Path) -> None:
    """Database, segments and spool lie on one disk without a free byte."""
    with (
        disk(tmp_path / "disk", 24) as folder,
        one_province(folder) as province,
        serving(province, folder) as mail,
        Talk(mail.mx) as talk,
    ):
        told: list[str] = []
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            for leave in (2 << 20, 300_000, 0):  # little room, then less, then none at all
                with contextlib.suppress(OSError):
                    while (free := os.statvfs(folder).f_bavail * 4096 - leave) > 0:
                        file.write(bytes(min(free, 1 << 20)))
                refused = ""
                for number in range(400):
                    mark = f"{leave}-{number}"
                    begin(talk, CV1, CV2)
                    answer = data(talk, letter(mark, size))
                    if not answer.startswith("250"):
                        refused = answer
                        break
                    told.append(mark)
                assert refused[:3] in ("451", "452"), refused
                assert "try again" in refused.lower() or "try later" in refused.lower(), refused
                assert "thu lai" in refused, refused
        filler.unlink()
        begin(talk, CV1, CV2)
        assert data(talk, letter("sau", size)).startswith("250")
        for who in (CV1, CV2):
            assert arrived(mail, who) == Counter([*told, "sau"])
        whole(province)


class Sender(threading.Thread):
    """Sends numbered letters one after another, each again until it is taken; keeps what it was answered."""

    def __init__(self, where: tuple[str, int], label: str) -> None:
        super().__init__(daemon=True)
        self.where, self.label = where, label
        self.acknowledged: list[str] = []
        self.deferred: list[str] = []
        self.ending = threading.Event()

    def run(self) -> None:
        number = 1
        while not self.ending.is_set():
            with suppress(ConnectionError), Talk(self.where, seconds=60) as talk:
                talk.ask("EHLO p.example")
                while not self.ending.is_set():
                    if self._taken(talk, f"{self.label}-{number}"):
                        number += 1
                    else:
                        time.sleep(0.05)

    def _taken(self, talk: Talk, mark: str) -> bool:
        for line in ("MAIL FROM:<ai@elsewhere.example>", f"RCPT TO:<{CV1}>", "DATA"):
            answer = talk.ask(line)
            if not answer:
                raise ConnectionError  # 421 after many refusals: it begins anew
            if answer[:1] not in ("2", "3"):
                self.deferred.append(answer)
                talk.ask("RSET")
                return False
        talk.send(letter(mark, 3000))
        answer = talk.reply()
        if answer.startswith("250"):
            self.acknowledged.append(mark)
            return True
        self.deferred.append(answer)
        return False


@contextmanager
def sending(mail: Serving, count: int) -> Iterator[list[Sender]]:
    senders = [Sender(mail.mx, f"s{number}") for number in range(count)]
    for one in senders:
        one.start()
    try:
        yield senders
    finally:
        for one in senders:
            one.ending.set()
        for one in senders:
            one.join(60)


def acknowledged(senders: list[Sender]) -> int:
    return sum(len(one.acknowledged) for one in senders)


def until(look: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def judged(mail: Serving, senders: list[Sender], *, unsure: int) -> None:
    """Nothing lost; only 4xx with words; ``unsure``: letters whose commit and its answer the outage came between."""
    deferred = [answer for one in senders for answer in one.deferred]
    assert deferred
    assert {answer[:3] for answer in deferred} <= {"451", "452"}, set(deferred)
    assert all("try again" in answer and "thu lai" in answer for answer in deferred), set(deferred)
    there = arrived(mail)
    assert {mark for one in senders for mark in one.acknowledged} <= there.keys()
    assert sum(there.values()) - len(there) <= unsure
    whole(mail.province)


def test_postgresql_is_killed_and_started_again(
    postgresql: PostgreSQL, postgres_province: Province, tmp_path: Path
) -> None:
    with serving(postgres_province, tmp_path) as mail:
        with sending(mail, 4) as senders:
            until(lambda: acknowledged(senders) > 20)
            postgresql.kill()
            try:  # longer than a sender's own errors would be borne (20)
                until(lambda: all(len(one.deferred) > 25 for one in senders))
            finally:
                postgresql.start()
            mark = acknowledged(senders)
            until(lambda: acknowledged(senders) > mark + 20)
        judged(mail, senders, unsure=4)


def test_somebody_holds_the_lock_of_sqlite(small_province: Province, tmp_path: Path) -> None:
    """An operator's ``sqlite3`` in a transaction: senders hear 451 when SQLite has waited long enough."""
    file = small_province.database.url.removeprefix("sqlite:///")
    # It waits 30 s before the first refusal; not here.
    small_province.database.write(lambda conn: conn.exec_driver_sql("PRAGMA busy_timeout=300").close())
    with serving(small_province, tmp_path) as mail:
        with sending(mail, 3) as senders:
            until(lambda: acknowledged(senders) > 5)
            other = sqlite3.connect(file, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            try:
                until(lambda: all(one.deferred for one in senders))
            finally:
                other.close()
            mark = acknowledged(senders)
            until(lambda: acknowledged(senders) > mark + 5)
        judged(mail, senders, unsure=0)


def test_the_file_of_sqlite_is_away(small_province: Province, tmp_path: Path) -> None:
    """Its disk is not there for a while: who has it open goes on, nobody makes an empty one in its place."""
    file = Path(small_province.database.url.removeprefix("sqlite:///"))
    with serving(small_province, tmp_path) as mail, sending(mail, 3) as senders:
        until(lambda: acknowledged(senders) > 5)
        away = tmp_path / "away"
        away.mkdir()
        names = [one.name for one in file.parent.glob(f"{file.name}*")]
        for name in names:
            (file.parent / name).rename(away / name)
        late = Database(small_province.database.url)
        with pytest.raises(DatabaseUnavailable), late.reading():
            pass
        with pytest.raises(DatabaseUnavailable):
            late.write(lambda conn: None)
        late.close()
        assert not file.exists()
        for name in names:
            (away / name).rename(file.parent / name)
        mark = acknowledged(senders)
        until(lambda: acknowledged(senders) > mark + 5)
        for one in senders:
            one.ending.set()
        for one in senders:
            one.join(60)
        there = arrived(mail)
        assert {mark for one in senders for mark in one.acknowledged} == there.keys()
        whole(small_province)
