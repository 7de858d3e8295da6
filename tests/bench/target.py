# SPDX-License-Identifier: AGPL-3.0-or-later
"""An installation for ``../shared/bench``: ``python -m tests.bench.target up|down DIR`` (DESIGN §5).

A real installation with default safety, not a demo: one agency ``BENCH`` with the domain bench.test, 2,000
accounts u00000 … u01999 that have an app password, all processes. ``up`` makes it when DIR is empty, else
resumes it, starts it in a session of its own and writes ``DIR/target.json`` when it serves; ``down`` ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from config.durable import write_durably
from config.seal import create_keyring
from config.settings import Mail, Settings
from config.settings_file import example, read
from congvan import migrate
from congvan.demo.create import demo_settings
from congvan.installation import Installation
from congvan.roles import processes
from congvan.roles.running import ready_file
from congvan.supervisor import stop_running, supervisor_file
from exchange.signing.provision import AgencyKeys, Places, provision
from exchange.trust.directory import TrustDirectory
from mailserver.accounts import passwords, shared
from mailserver.accounts.changes import NewAccount, NewAgency, add_account, add_agency
from mailserver.accounts.shared import SharedAddress
from mailserver.store import mailboxes

DOMAIN, PASSWORD, USERS = "bench.test", "bench-pw-1", 2000
_SENDING = (*range(10, 210), *range(1400, 1420))  # who the load driver signs in as to send
_WRITTEN_AS = 64  # its letters are From: vp0@ … vp499@bench.test, in a submission the first few of them
_SLICE = 100
_START_S = 90.0


def _settings(folder: Path, base_port: int, database: str) -> Settings:
    like = demo_settings(folder, base_port)
    return replace(
        like,
        installation=replace(
            like.installation,
            name="Đo tốc độ",
            tls_name=f"mail.{DOMAIN}",
            origin=f"{DOMAIN}/congvan",
            demo=False,
        ),
        mail=Mail(),
        exchange=type(like.exchange)(),
        database=replace(like.database, url=database),
    )


def _create(settings: Settings, users: int) -> None:
    """Keys, database, agency, accounts; the settings file last, so that half is not taken for whole."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    settings.master_key.parent.mkdir(parents=True, exist_ok=True)
    create_keyring(settings.master_key, settings.keyring)
    places = Places(
        keys=settings.data_dir / "signer",
        secret=settings.at(settings.paths.signer_secret),
        trust=settings.trust_dir,
        tls_certificate=settings.at(settings.tls.certificate),
        tls_key=settings.at(settings.tls.key),
    )
    provision(
        places,
        province="Đo tốc độ",
        origin=settings.installation.origin,
        tls_name=settings.installation.tls_name,
        agencies=[AgencyKeys("BENCH", "Cơ quan đo", f"vanthu@{DOMAIN}")],
        people=[],
    )
    write_durably(settings.base / "ca.pem", (TrustDirectory(settings.trust_dir).path / "ca.pem").read_bytes())
    migrate.upgrade(settings.database_url)
    parts = Installation(settings)
    try:

        def agency(conn: sa.Connection) -> None:
            home = add_agency(conn, parts.seal, NewAgency("BENCH", "Cơ quan đo", "Đo", DOMAIN))
            mailboxes.create_standard(conn, parts.seal, home.registry)

        parts.database.write(agency)
        home = parts.accounts.agency("BENCH")
        assert home is not None
        for first in range(0, users, _SLICE):

            def some(conn: sa.Connection, first: int = first) -> None:
                for number in range(first, min(first + _SLICE, users)):
                    address = f"u{number:05d}@{DOMAIN}"
                    salt = passwords.scram_salt(parts.seal, address)
                    kept = ((passwords.APP, passwords.keep(passwords.APP, PASSWORD, salt)),)
                    new = NewAccount(
                        address,
                        f"Người dùng {number}",
                        "Chuyên viên",
                        "civil-servant",
                        kept,
                    )
                    mailboxes.create_standard(conn, parts.seal, add_account(conn, parts.seal, home, new).ref)

            parts.database.write(some)
        named = tuple(f"u{number:05d}@{DOMAIN}" for number in _SENDING if number < users)

        def lend(conn: sa.Connection) -> None:
            for number in range(_WRITTEN_AS):
                one = SharedAddress(f"vp{number}@{DOMAIN}", f"Văn phòng {number}", "group", home.number)
                lent = replace(one, members=(f"u00000@{DOMAIN}",), send_as=named)
                shared.put(conn, parts.seal, parts.accounts, lent, f"vanthu@{DOMAIN}")

        parts.accounts.all()
        time.sleep(2.1)  # the directory looks for changes every two seconds
        parts.database.write(lend)
    finally:
        parts.close()
    write_durably(settings.file, example(settings).encode())


def up(folder: Path, base_port: int, users: int, database: str) -> None:
    """Make or resume the installation, start it, write ``target.json``."""
    file = folder / "province.toml"
    if not file.is_file():
        if folder.exists() and any(folder.iterdir()):
            sys.exit(f"{folder} holds other files or a half-made installation: remove it first")
        folder.mkdir(parents=True, exist_ok=True)
        _create(_settings(folder, base_port, database), users)
    settings = read(file)
    stop_running(settings)
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "congvan.main", "serve", "-c", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ,
        )
    deadline = time.monotonic() + _START_S
    while not all(ready_file(settings, role).is_file() for role in processes(settings)):
        if child.poll() is not None or time.monotonic() > deadline:
            child.terminate()
            sys.exit(f"it did not start: {(folder / 'server.log').read_text(errors='replace')}")
        time.sleep(0.05)
    listen = settings.listen
    target = {
        "name": "congvan",
        "smtp_mx": listen.smtp,
        "submission": listen.submission,
        "submission_tls": "starttls",
        "imap": listen.imap,
        "imaps": listen.imaps,
        "ca": str(folder / "ca.pem"),
        "tls_name": settings.installation.tls_name,
        "users": "u{n:05d}@" + DOMAIN,
        "user_count": users,
        "password": PASSWORD,
        "data_dir": str(settings.data_dir),
        "pid_files": [str(supervisor_file(settings))],
    }
    write_durably(folder / "target.json", json.dumps(target, indent=1).encode())
    sys.stdout.write(f"{folder / 'target.json'}\n")


def down(folder: Path) -> None:
    """End it."""
    stopped = stop_running(read(folder / "province.toml"))
    (folder / "target.json").unlink(missing_ok=True)
    sys.stdout.write("stopped\n" if stopped else "was not running\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.target")
    parser.add_argument("act", choices=("up", "down"))
    parser.add_argument("dir", type=Path)
    parser.add_argument("--base-port", type=int, default=34000)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--database", default="", help="SQLAlchemy address; empty: SQLite")
    args = parser.parse_args()
    folder = args.dir.absolute()
    if args.act == "up":
        up(folder, args.base_port, args.users, args.database)
    else:
        down(folder)


if __name__ == "__main__":
    main()
