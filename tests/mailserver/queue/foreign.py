# SPDX-License-Identifier: AGPL-3.0-or-later
"""Real mail servers of others on loopback: Postfix and Exim, each with a configuration, spool and port of its own.

Both deliver ``box@foreign.example`` into a Maildir and send mail for our domain to our MX. They need root (they
change to users of their own). Debian does not let both be installed: Exim's program is unpacked beside.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
EXIM = _CACHE / "congvan-tests" / "exim" / "usr" / "sbin" / "exim4"
OURS = "vpubnd.camau.example"
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mx.foreign.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtputf8_enable = yes
relay_domains = {ours}
transport_maps = inline:{{ {ours}=smtp:[127.0.0.1]:{mx} }}
virtual_mailbox_domains = foreign.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ box@foreign.example=box/ }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
alias_maps =
"""
_EXIM = """\
primary_hostname = mx.foreign.example
exim_path = {exim}
spool_directory = {folder}/spool
log_file_path = {folder}/log-%slog
pid_file_path = {folder}/exim.pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
acl_smtp_rcpt = take
acl_smtp_data = take
chunking_advertise_hosts = *
deliver_drop_privilege
never_users =
begin acl
take:
  accept
begin routers
ours:
  driver = manualroute
  domains = {ours}
  transport = out
  route_list = * 127.0.0.1 byname
  self = send
box:
  driver = accept
  domains = foreign.example
  transport = box
begin transports
out:
  driver = smtp
  port = {mx}
  allow_localhost
box:
  driver = appendfile
  directory = {folder}/mail/box
  maildir_format
  create_directory
"""


@dataclass(frozen=True)
class Foreign:
    """A running server. ``box``: the Maildir of box@foreign.example."""

    name: str
    port: int
    folder: Path

    def box(self) -> list[bytes]:
        """What arrived, as it lies there."""
        return [one.read_bytes() for one in sorted((self.folder / "mail" / "box" / "new").glob("*"))]

    def log(self) -> str:
        """What it says about itself."""
        found = [*self.folder.glob("postfix.log"), *self.folder.glob("log-*")]
        return "\n".join(one.read_text(errors="replace") for one in found)


@contextmanager
def postfix(folder: Path, mx: int, port: int) -> Iterator[Foreign]:
    """A Postfix that sends mail for us to port ``mx``."""
    made = Foreign("postfix", port, folder)
    user = pwd.getpwnam("postfix")
    for name in ("conf", "queue/pid", "data", "mail"):
        (folder / name).mkdir(parents=True)
    for name in ("data", "mail"):
        os.chown(folder / name, user.pw_uid, user.pw_gid)
    _reachable(folder)
    told = {
        "folder": folder,
        "mx": mx,
        "ours": OURS,
        "uid": user.pw_uid,
        "gid": user.pw_gid,
        "port": made.port,
    }
    (folder / "conf" / "main.cf").write_text(_MAIN.format(**told))
    (folder / "conf" / "master.cf").write_text(_MASTER.format(**told))
    command = ["postfix", "-c", str(folder / "conf")]
    subprocess.run([*command, "start"], check=True, capture_output=True, timeout=30)
    try:
        _answers(made)
        yield made
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=30)


@contextmanager
def exim(folder: Path, mx: int, port: int) -> Iterator[Foreign]:
    """An Exim that sends mail for us to port ``mx``."""
    made = Foreign("exim", port, folder)
    user = pwd.getpwnam("Debian-exim")
    for name in ("spool", "mail"):
        (folder / name).mkdir(parents=True)
        os.chown(folder / name, user.pw_uid, user.pw_gid)
    os.chown(folder, user.pw_uid, user.pw_gid)
    _reachable(folder)
    settings = folder / "exim.conf"
    settings.write_text(_EXIM.format(folder=folder, mx=mx, ours=OURS, port=made.port, exim=EXIM))
    with subprocess.Popen(
        [str(EXIM), "-C", str(settings), "-bdf", "-q2s"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        try:
            _answers(made)
            yield made
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)


def available() -> dict[str, bool]:
    """Which of them can run here."""
    root = os.geteuid() == 0
    runs = (
        EXIM.is_file()
        and not subprocess.run(
            [str(EXIM), "-C", "/dev/null", "-bV"], check=False, capture_output=True
        ).returncode
    )
    return {"postfix": root and shutil.which("postfix") is not None, "exim": root and runs}


def _reachable(folder: Path) -> None:
    """Their users must be able to come here: pytest's folders are the owner's alone."""
    for one in (folder, *folder.parents):
        if one.owner() == "root" and one not in (Path("/"), Path("/tmp")):
            one.chmod(one.stat().st_mode | 0o011)


def _answers(made: Foreign, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", made.port), 5) as one:
                assert one.recv(1000).startswith(b"220 ")
                return
        except OSError:
            assert time.monotonic() < end, made.log()
            time.sleep(0.05)
