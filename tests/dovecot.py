# SPDX-License-Identifier: AGPL-3.0-or-later
"""A throw-away Dovecot with its own configuration, ports and folders: an old server to bring mail from.

Needs root (its processes change their user) and Debian's dovecot-imapd.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mailserver.smtp.serving import free_port
from tests.running import eventually

USER, PASSWORD = "canbo@cu.example", "mat-khau-cu-1"
_OWNER = 65534  # nobody: Dovecot keeps no mail as root

_CONFIGURATION = """
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}/cert.pem
ssl_key = <{certificate}/key.pem
auth_failure_delay = 0
mail_location = {location}
mail_uid = {owner}
mail_gid = {owner}
first_valid_uid = {owner}
first_valid_gid = {owner}
last_valid_uid = {owner}
mail_max_userip_connections = 0
passdb {{
  driver = static
  args = password={{plain}}{password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """Where it listens (IMAPS), and what trusts its certificate."""

    port: int
    ca: Path

    def client(self) -> imaplib.IMAP4_SSL:
        """A client that has signed in as `USER`."""
        made = imaplib.IMAP4_SSL(
            "localhost", self.port, ssl_context=ssl.create_default_context(cafile=self.ca)
        )
        made.login(USER, PASSWORD)
        return made


def is_there() -> bool:
    """Whether it can be run here."""
    return shutil.which("dovecot", path="/usr/sbin:/usr/bin") is not None and os.geteuid() == 0


@contextmanager
def dovecot(
    certificate: Path, *, separator: str = "/", prefix: str = "", kind: str = "maildir"
) -> Iterator[Dovecot]:
    """Run one; ``certificate`` is a folder with cert.pem and key.pem of localhost."""
    folder = Path(tempfile.mkdtemp(prefix="cvdove"))
    folder.chmod(0o755)
    port = free_port()
    (folder / "mail").mkdir()
    os.chown(folder / "mail", _OWNER, _OWNER)
    (folder / "conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            certificate=certificate,
            location=f"{kind}:~/mail",
            owner=_OWNER,
            password=PASSWORD,
            separator=separator,
            prefix=prefix,
            port=port,
        )
    )
    with (folder / "start").open("wb") as said:  # a pipe would stay open in its children
        subprocess.run(
            ["/usr/sbin/dovecot", "-c", str(folder / "conf")], check=True, stdout=said, stderr=said
        )
    made = Dovecot(port, certificate / "cert.pem")
    try:
        eventually(lambda: _answers(made), 30)
        yield made
    finally:
        os.kill(int((folder / "run" / "master.pid").read_text()), signal.SIGTERM)
        eventually(lambda: not (folder / "run" / "master.pid").exists(), 30)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(made: Dovecot) -> bool:
    try:
        made.client().logout()
    except OSError:
        return False
    return True
