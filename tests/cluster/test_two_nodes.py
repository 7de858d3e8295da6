# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two nodes on one PostgreSQL and one S3 store, load on both, one killed: nothing lost, nothing twice.

A node is a ``mail`` and a ``worker`` process with ports and run folder of its own. The signer is a third
machine's: its socket is linked into both run folders.
"""

from __future__ import annotations

import imaplib
import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.settings import DatabaseSettings, Paths, Settings, Store
from config.settings_file import example
from congvan.demo.create import create, demo_settings
from congvan.installation import Installation
from mailserver.store.verify import verify_data
from policy.ledger.schema import pending
from tests.mailserver.store.bucket import serving
from tests.running import eventually, free_base_port

_LETTERS = int(os.environ.get("CONGVAN_CLUSTER_LETTERS", "30"))
"""Letters of each of four senders; ``make test-cluster`` sets 2,000."""


class Node:
    """The processes of one machine."""

    def __init__(self, settings: Settings, roles: tuple[str, ...]) -> None:
        self.settings = settings
        words = [sys.executable, "-m", "congvan.main", "serve", "-c", str(settings.file), "--role"]
        log = (settings.run_dir / "log").open("ab")
        self.processes = [subprocess.Popen([*words, role], stderr=log, stdout=log) for role in roles]
        self.roles = roles

    def is_up(self) -> bool:
        assert all(one.poll() is None for one in self.processes), (self.settings.run_dir / "log").read_text()
        return all((self.settings.run_dir / f"{role}.pid").exists() for role in self.roles)

    def kill(self) -> None:
        for one in self.processes:
            one.send_signal(signal.SIGKILL)
            one.wait()


class Sender(threading.Thread):
    """Sends its letters to the first server that takes them; what got no 250 goes again under a new mark."""

    def __init__(self, name: str, ports: list[int], to: list[str]) -> None:
        super().__init__(daemon=True)
        self.label, self.ports, self.to = name, ports, to
        self.acknowledged: list[str] = []

    def run(self) -> None:
        attempt = 0
        while len(self.acknowledged) < _LETTERS:
            port = self.ports[attempt % len(self.ports)]
            attempt += 1
            try:
                with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                    while len(self.acknowledged) < _LETTERS:
                        mark = f"{self.label}-{attempt}-{len(self.acknowledged)}"
                        text = f"Message-ID: <{mark}@elsewhere.example>\r\nSubject: {mark}\r\n\r\n{mark}\r\n"
                        client.sendmail("out@elsewhere.example", self.to, text.encode())
                        self.acknowledged.append(mark)
            except (OSError, smtplib.SMTPException):
                continue


@pytest.fixture
def cluster(postgres_url: str) -> Iterator[tuple[Settings, Settings, dict[str, str]]]:
    """Settings of two nodes, and addresses with their passwords."""
    folder = Path(tempfile.mkdtemp(prefix="cvtwo"))
    engine = sa.create_engine(postgres_url)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    with serving(folder) as bucket:
        kept = Store(
            s3_bucket=bucket.name,
            s3_prefix="mail",
            s3_endpoint=bucket.endpoint,
            s3_region=bucket.region,
            s3_credentials=str(bucket.credentials),
        )
        nodes = []
        for name in ("a", "b"):
            made = demo_settings(folder, free_base_port())
            made = replace(
                made,
                file=folder / f"{name}.toml",
                paths=replace(Paths(), run=f"run-{name}"),
                database=DatabaseSettings(url=postgres_url),
                store=kept,
            )
            nodes.append(made)
        create(nodes[0], lambda _: None)
        nodes[1].run_dir.mkdir()
        for one in nodes:
            one.file.write_text(example(one))
        (nodes[1].run_dir / "signer.sock").symlink_to(nodes[0].run_dir / "signer.sock")
        passwords = json.loads((folder / "accounts.json").read_bytes())
        yield nodes[0], nodes[1], passwords
    shutil.rmtree(folder, ignore_errors=True)


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_one_node_is_killed_under_load(cluster: tuple[Settings, Settings, dict[str, str]]) -> None:
    first, second, passwords = cluster
    people = [one for one in passwords if one.startswith(("cv", "vt"))][:3] or list(passwords)[:3]
    signer = Node(first, ("signer",))
    nodes = [Node(first, ("mail", "worker")), Node(second, ("mail", "worker"))]
    try:
        for one in (signer, *nodes):
            eventually(one.is_up, 60)
        ports = [port(first.listen.smtp), port(second.listen.smtp)]
        senders = [Sender(f"s{n}", ports if n % 2 else ports[::-1], people) for n in range(4)]
        for one in senders:
            one.start()
        eventually(lambda: sum(len(one.acknowledged) for one in senders) > _LETTERS, 600)
        nodes[0].kill()
        for one in senders:
            one.join(600)
        acknowledged = [mark for one in senders for mark in one.acknowledged]
        assert len(acknowledged) == 4 * _LETTERS
        for who in people:
            there = subjects(port(second.listen.imap), who, passwords[who])
            assert [mark for mark in acknowledged if there[mark] != 1] == []
            print(f"{len(acknowledged)} letters acknowledged, each once in {who}")
        parts = Installation(second)
        try:
            assert verify_data(parts.database, parts.segments, parts.seal).problems == []
            eventually(lambda: waiting(parts) == 0, 60)  # the sequencer's lease has passed on
        finally:
            parts.close()
    finally:
        for one in (*nodes, signer):
            one.kill()


def test_a_session_on_one_node_sees_at_once_what_happens_on_the_other(
    cluster: tuple[Settings, Settings, dict[str, str]],
) -> None:
    """By LISTEN and NOTIFY of the database, not by looking now and then: the idler's server sweeps every 15 s only."""
    first, second, passwords = cluster
    who = next(one for one in passwords if one.startswith("chuyenvien"))
    nodes = [Node(first, ("mail",)), Node(second, ("mail",))]
    try:
        for one in nodes:
            eventually(one.is_up, 60)
        here = imaplib.IMAP4("127.0.0.1", port(first.listen.imap))
        there = imaplib.IMAP4("127.0.0.1", port(second.listen.imap))
        for client in (here, there):
            client.login(who, passwords[who])
        here.append("INBOX", "", None, b"Subject: first\r\n\r\nx\r\n")  # type: ignore[arg-type]
        for client in (here, there):
            client.select("INBOX")
        count = int(there.untagged_responses["EXISTS"][-1])
        waits = []
        for number in range(5):
            there.send(b"i%d IDLE\r\n" % number)
            assert there.readline().startswith(b"+")
            began = time.monotonic()
            here.append("INBOX", "", None, b"Subject: %d\r\n\r\nx\r\n" % number)  # type: ignore[arg-type]
            count += 1
            assert heard(there) == b"* %d EXISTS" % count
            here.store(str(count), "+FLAGS.SILENT", "\\Flagged")
            assert heard(there).startswith(b"* %d FETCH (" % count)
            waits.append(time.monotonic() - began)
            there.send(b"DONE\r\n")
            assert heard(there) == b"i%d OK Done" % number
        assert sorted(waits)[2] < 7, waits  # half a sweep; two wake-ups take some ms
        here.store(f"1:{count}", "+FLAGS.SILENT", "\\Deleted")
        here.expunge()
        assert there.noop()[0] == "OK"  # the other node's numbers change only now
        assert int(there.select("INBOX")[1][0]) == 0  # type: ignore[arg-type]
    finally:
        for one in nodes:
            one.kill()


def heard(client: imaplib.IMAP4) -> bytes:
    """The next line that says something new."""
    while True:
        line = client.readline().strip()
        if not line.startswith((b"* OK Still", b"* 0 RECENT")):
            return line


def subjects(where: int, who: str, password: str) -> Counter[str]:
    """How often each subject stands in an INBOX, read over IMAP."""
    with imaplib.IMAP4("127.0.0.1", where) as client:
        client.login(who, password)
        client.select("INBOX", readonly=True)
        _, answer = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    texts = [one[1] for one in answer if isinstance(one, tuple)]
    return Counter(one.decode().partition(":")[2].strip() for one in texts)


def waiting(parts: Installation) -> int:
    with parts.database.reading() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(pending)).scalar() or 0)
