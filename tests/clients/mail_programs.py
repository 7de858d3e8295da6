# SPDX-License-Identifier: AGPL-3.0-or-later
"""OfflineIMAP and fetchmail with real jobs against a started demo: ``python -m tests.clients.mail_programs`` (``make clients``).

OfflineIMAP mirrors an account into a Maildir and back; fetchmail hands what is new to a local delivery program.
Both come from Debian. imapsync and Dovecot's imaptest can't be had here: neither is a package of Debian, PyPI or npm.
"""

from __future__ import annotations

import imaplib
import json
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.running import Demo

LETTERS = 40


def main() -> int:
    """Prints each job and how it went; 0 when all went as they must."""
    demo, folder = Demo(), Path(tempfile.mkdtemp(prefix="cvclients"))
    try:
        demo.start()
        account = _Account(demo, folder)
        account.fill()
        failed = 0
        for name, program, job in (
            ("offlineimap", "offlineimap", offlineimap),
            ("fetchmail", "fetchmail", fetchmail),
        ):
            if shutil.which(program) is None:
                sys.stdout.write(f"{name}: not here (apt-get install offlineimap3 fetchmail)\n")
                failed += 1
                continue
            try:
                sys.stdout.write(f"{name}: {job(account)}\n")
            except AssertionError as problem:
                failed += 1
                sys.stdout.write(f"{name}: WRONG: {problem}\n")
        return 1 if failed else 0
    finally:
        demo.stop()
        shutil.rmtree(folder, ignore_errors=True)


class _Account:
    """One person of the demo, and a folder to work in."""

    def __init__(self, demo: Demo, folder: Path) -> None:
        passwords = json.loads((demo.folder / "accounts.json").read_bytes())
        self.address = next(one for one in passwords if one.startswith("chuyenvien"))
        self.password = passwords[self.address]
        self.host, _, port = demo.ready["imaps"].rpartition(":")
        self.port = int(port)
        self.ca = demo.folder / demo.ready["ca"]
        self.folder = folder

    def client(self) -> imaplib.IMAP4_SSL:
        """Python's own client, to look at what the others did."""
        context = ssl.create_default_context(cafile=self.ca)
        context.check_hostname = False
        made = imaplib.IMAP4_SSL(self.host, self.port, ssl_context=context)
        made.login(self.address, self.password)
        return made

    def fill(self) -> None:
        """Letters in INBOX and in a folder with a Vietnamese name."""
        with self.client() as client:
            for number in range(LETTERS):
                text = f"Subject: thư {number}\r\nMessage-ID: <{number}@old.example>\r\n\r\nNội dung {number}\r\n"
                client.append("INBOX", "\\Seen" if number % 2 else "", None, text.encode())  # type: ignore[arg-type]
            client.create('"D&HvE- &AOE-n"')
            client.append('"D&HvE- &AOE-n"', "", None, b"Subject: x\r\n\r\nx\r\n")  # type: ignore[arg-type]

    def count(self, name: str = "INBOX") -> int:
        """How many messages there are."""
        with self.client() as client:
            return int(client.select(name, readonly=True)[1][0] or b"0")


def run(words: list[str], folder: Path, most: int = 120) -> subprocess.CompletedProcess[str]:
    """Run a program with its own home."""
    environment = {
        "HOME": str(folder),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LOGNAME": "x",
    }
    return subprocess.run(words, capture_output=True, text=True, timeout=most, check=False, env=environment)


def offlineimap(account: _Account) -> str:
    """Down, a new letter and a flag up, a deletion down, then nothing to do."""
    here = account.folder / "maildir"
    settings = account.folder / "offlineimaprc"
    settings.write_text(
        "[general]\naccounts = one\nui = quiet\n[Account one]\nlocalrepository = near\nremoterepository = far\n"
        f"[Repository near]\ntype = Maildir\nlocalfolders = {here}\n"
        f"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {account.port}\nssl = yes\n"
        f"sslcacertfile = {account.ca}\nssl_version = tls1_2\nremoteuser = {account.address}\n"
        f"remotepass = {account.password}\nauth_mechanisms = PLAIN\n"
    )
    before = account.count()

    def sync() -> None:
        done = run(["offlineimap", "-o", "-c", str(settings)], account.folder)
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]

    def letters() -> list[Path]:
        return sorted((here / "INBOX").glob("cur/*")) + sorted((here / "INBOX").glob("new/*"))

    sync()
    assert len(letters()) == before, (len(letters()), before)
    folders = [one.name for one in here.iterdir()]
    assert any("HvE" in one or "Dự" in one for one in folders), folders
    (here / "INBOX" / "new" / "1.local").write_bytes(b"Subject: from the Maildir\n\nx\n")
    letters()[0].unlink()
    sync()
    assert account.count() == before, (account.count(), before)  # one more, one less
    with account.client() as client:
        client.select("INBOX")
        client.store("1:3", "+FLAGS", "\\Deleted")
        client.expunge()
    sync()
    assert len(letters()) == account.count() == before - 3, (len(letters()), account.count())
    sync()
    assert account.count() == before - 3
    return f"{before} letters down, one up, deletions both ways, {len(folders)} folders, nothing left to do"


def fetchmail(account: _Account) -> str:
    """All letters handed on once, left on the server as seen; the second run finds nothing."""
    got = account.folder / "got"
    got.mkdir()
    taker = account.folder / "taker.sh"
    taker.write_text(f"#!/bin/sh\ncat > {got}/$$.$(date +%N)\n")
    taker.chmod(0o700)
    settings = account.folder / "fetchmailrc"
    settings.write_text(
        f"poll localhost service {account.port} protocol IMAP auth password\n"
        f'  user "{account.address}" password "{account.password}" options ssl sslproto "TLS1.2+"\n'
        f'  sslcertfile {account.ca} sslcertck keep mda "{taker}"\n'
    )
    settings.chmod(0o600)
    with account.client() as client:
        client.select("INBOX")
        client.store("1:*", "-FLAGS.SILENT", "\\Seen")
    words = ["fetchmail", "-f", str(settings), "--nodetach", "-N", "--pidfile", str(account.folder / "pid")]
    done = run([*words, "-v"], account.folder)
    wanted = account.count()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
    assert len(list(got.iterdir())) == wanted, (len(list(got.iterdir())), wanted)
    again = run(words, account.folder)
    assert again.returncode == 1, again.stdout  # 1: there was no new mail
    assert len(list(got.iterdir())) == wanted
    return f"{wanted} letters handed on once, none the second time"


if __name__ == "__main__":
    sys.exit(main())
