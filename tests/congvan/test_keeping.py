# SPDX-License-Identifier: AGPL-3.0-or-later
"""Quotas, the vault, backup and restore by their commands, against a running demo."""

from __future__ import annotations

import imaplib
import json
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Demo, eventually

_WORD = "TUCHUAKHOAHOC"


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    made = Demo()
    made.start()
    yield made
    made.stop()


def place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def send(demo: Demo, to: str, subject: str) -> None:
    with smtplib.SMTP(*place(demo.ready["smtp"]), timeout=30) as client:
        client.sendmail("out@elsewhere.example", [to], f"Subject: {subject}\r\n\r\n{_WORD}\r\n".encode())


def test_the_keeping_of_mail_by_commands(demo: Demo, tmp_path: Path) -> None:
    who = demo.account("civil-servant", "H12.05")
    address = who["address"]
    send(demo, address, "giu-lai")
    with imaplib.IMAP4(*place(demo.ready["imap"])) as client:
        client.login(address, who["password"])
        client.select("INBOX")
        _, found = client.search(None, "SUBJECT", "giu-lai")
        client.store(found[0].split()[0].decode(), "+FLAGS", "\\Deleted")
        client.expunge()
    (kept,) = demo.congvan("vault", "list", "--account", address)["items"]
    assert (kept["mailbox"], kept["subject"]) == ("INBOX", "giu-lai")
    demo.congvan("vault", "restore", "--account", address, "--uid", str(kept["uid"]))
    with imaplib.IMAP4(*place(demo.ready["imap"])) as client:
        client.login(address, who["password"])
        client.select("INBOX")
        _, found = client.search(None, "SUBJECT", "giu-lai")
        assert len(found[0].split()) == 1

    told = demo.congvan("account", "quota", address, "--set", "1K")
    assert told["limit"] == 1024
    with pytest.raises(smtplib.SMTPDataError) as caught:
        send(demo, address, "qua-day" + "y" * 900)
    assert caught.value.smtp_code in (452, 552)
    demo.congvan("account", "quota", address, "--set", "default")

    key = tmp_path / "offline.key"
    made = demo.congvan("backup", "key", str(key))
    refused = demo.run("backup", str(tmp_path / "dest"), "--json")
    assert json.loads(refused.stdout)["error"] == "no-backup-key"
    toml = demo.folder / "province.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace('recipient = ""', f'recipient = "{made["recipient"]}"'), encoding="utf-8")
    taken = demo.congvan("backup", str(tmp_path / "dest"))
    assert taken["files"] > 10
    words = [str(tmp_path / "dest"), str(tmp_path / "again")]
    done = subprocess.run(
        [sys.executable, "-m", "congvan.main", "restore", *words, "--key", str(key), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    answer = json.loads(done.stdout)
    assert answer["ok"]
    assert answer["messages"] > 0
    eventually(lambda: demo.congvan("verify-data")["ok"])
    lines = {one["name"]: one["ok"] for one in json.loads(demo.run("check", "--json").stdout)["items"]}
    assert lines["storage"]
    assert lines["backup"]


def test_planted_words_lie_nowhere_in_clear(demo: Demo, tmp_path: Path) -> None:
    who = demo.account("civil-servant", "H12.05")
    send(demo, who["address"], _WORD)
    demo.congvan("backup", str(tmp_path / "dest"))
    places = [demo.folder / "data", demo.folder / "run", tmp_path / "dest", *demo.folder.glob("*.log")]
    files = [
        path
        for one in places
        for path in ([one] if one.is_file() else one.rglob("*"))
        if path.is_file() and not path.is_socket()
    ]
    assert any(path.name.endswith("-wal") for path in files)
    assert any(path.suffix == ".age" for path in files)
    assert [str(path) for path in files if _WORD.encode() in path.read_bytes()] == []
