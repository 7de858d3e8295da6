# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail in with DKIM verification on both sides: ``python -m tests.bench.dkim DIR BENCH [options of compare.py]``.

Letters of ``outside.test`` are signed ahead (RSA-2048, relaxed/simple), its key stands in a DNS server on loopback.
congvan asks there for SPF, DKIM and DMARC, as it always does when it asks the DNS. Postfix asks OpenDKIM (a milter,
Debian's package) for DKIM only, which has the key from a file: with its resolver (libunbound) it answers 451 as soon
as sixteen letters come at once. Before anything is measured each side delivers one letter, and its
Authentication-Results must say ``dkim=pass``. Runs as root, as the peers do.
"""

from __future__ import annotations

import argparse
import imaplib
import importlib
import json
import os
import re
import signal
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from config.durable import write_durably
from config.settings import Dns
from config.settings_file import example, read
from tests.mailserver.dns.serving import DnsServer, Zone
from tests.mailserver.senderauth.letters import Key, record, signed

DOMAIN = "outside.test"
_ROOT = Path(__file__).parents[2]
_SIGNED = "from:to:subject:date:mime-version:content-type"
_OPENDKIM = """\
Mode v
Syslog no
UserID postfix
UMask 000
Background yes
PidFile {folder}/opendkim.pid
Socket local:{folder}/opendkim.sock
InternalHosts 192.0.2.1
AlwaysAddARHeader yes
AuthservID mail.bench.test
TestPublicKeys {folder}/keys
"""


def zone(key: Key) -> Zone:
    """What the DNS says of the senders' domain."""
    return {
        DOMAIN: [("TXT", "v=spf1 ip4:127.0.0.1 -all"), ("MX", f"10 mail.{DOMAIN}.")],
        f"s1._domainkey.{DOMAIN}": [("TXT", record(key))],
        f"_dmarc.{DOMAIN}": [("TXT", "v=DMARC1; p=reject")],
    }


def drive(bench: Path, key: Path, words: list[str]) -> int:
    """The load driver, its letters signed: all of them before its clock starts."""
    sys.path.insert(0, str(bench))
    driver: Any = importlib.import_module("mailbench")
    found = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(found, rsa.RSAPrivateKey)
    plain = driver.message

    @cache
    def message(number: int, size: int = 4096, to: str = "nobody@bench.test") -> tuple[bytes, bool, bool]:
        data, subject_hit, text_hit = plain(number, size, to)
        head, mark, body = data.replace(b"@bench.test>\r\nTo:", b"@outside.test>\r\nTo:").partition(
            b"\r\n\r\n"
        )
        flat = re.sub(rb"\r\n[ \t]+", b" ", head)
        return signed(flat + mark + body, found, domain=DOMAIN, names=_SIGNED), subject_hit, text_hit

    driver.message = message
    sys.argv = ["mailbench.py", *words]
    return int(driver.main() or 0)


@contextmanager
def peer(bench: Path, folder: Path, key: Key, base_port: int) -> Iterator[Path]:
    """Postfix and Dovecot with OpenDKIM in front."""
    try:
        names = {"BASE_PORT": str(base_port), "NAME": "postfix-opendkim-dovecot", "NO_FILL": "1"}
        words = ["bash", str(bench / "peers_up.sh"), str(folder), "sdbox"]
        subprocess.run(words, check=True, env=os.environ | names)
        (folder / "keys").write_text(f"s1._domainkey.{DOMAIN} {record(key)}\n")
        (folder / "opendkim.conf").write_text(_OPENDKIM.format(folder=folder))
        for name in ("opendkim.sock", "opendkim.pid"):
            (folder / name).unlink(missing_ok=True)
        subprocess.run(["chown", "postfix", str(folder)], check=True)
        subprocess.run(["opendkim", "-x", str(folder / "opendkim.conf")], check=True)
        try:
            milters = f"smtpd_milters=unix:{folder}/opendkim.sock"
            settings = ["postconf", "-c", str(folder / "pf"), "-e", milters, "milter_default_action=tempfail"]
            subprocess.run(settings, check=True)
            subprocess.run(["postfix", "-c", str(folder / "pf"), "reload"], check=True, capture_output=True)
            target = folder / "target.json"
            told = json.loads(target.read_bytes())
            told["pid_files"].append("opendkim.pid")  # its CPU is the server's
            target.write_text(json.dumps(told))
            yield target
        finally:
            os.kill(int((folder / "opendkim.pid").read_text()), signal.SIGTERM)
    finally:
        subprocess.run(["bash", str(bench / "peers_down.sh"), str(folder)], check=False)


@contextmanager
def ours(folder: Path, place: str, base_port: int) -> Iterator[Path]:
    """An installation that asks the DNS about everybody, loopback too."""
    target = [sys.executable, "-m", "tests.bench.target"]
    up = [*target, "up", str(folder), "--base-port", str(base_port)]
    subprocess.run(up, check=True, cwd=_ROOT)
    try:
        settings = read(folder / "province.toml")
        asking = replace(
            settings,
            dns=Dns(enabled=True, servers=[place]),
            hygiene=replace(settings.hygiene, trusted_networks=[]),
        )
        write_durably(settings.file, example(asking).encode())
        subprocess.run(up, check=True, cwd=_ROOT)
        yield folder / "target.json"
    finally:
        subprocess.run([*target, "down", str(folder)], check=False, cwd=_ROOT)


def proved(key: rsa.RSAPrivateKey, target: Path) -> str:
    """The Authentication-Results of one letter that went in. Exits when it does not say that DKIM passed."""
    told = json.loads(target.read_bytes())
    to, mark = told["users"].format(n=0), f"dkim-{time.time_ns()}"
    letter = f"From: vp@{DOMAIN}\r\nTo: {to}\r\nSubject: {mark}\r\n\r\nx\r\n".encode()
    data = signed(letter, key, domain=DOMAIN, names="from:to:subject")
    host, _, port = told["smtp_mx"].rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=30) as client:
        client.sendmail(f"vp@{DOMAIN}", [to], data)
    context = ssl.create_default_context(cafile=target.parent / told["ca"])
    context.check_hostname = False  # the name is in the file, the driver checks it
    host, _, port = told["imaps"].rpartition(":")
    with imaplib.IMAP4_SSL(host, int(port), ssl_context=context) as mail:
        mail.login(to, told["password"])
        for _ in range(200):
            mail.select("INBOX")
            found = mail.search(None, "SUBJECT", mark)[1][0].split()
            if found:
                break
            time.sleep(0.05)
        answer = mail.fetch(found[0].decode(), "(BODY.PEEK[HEADER.FIELDS (AUTHENTICATION-RESULTS)])")[1][0]
    assert isinstance(answer, tuple)
    said = " ".join(answer[1].decode().split())
    if "dkim=pass" not in said:
        sys.exit(f"{target}: DKIM is not verified: {said}")
    return said


def measure(folder: Path, bench: Path, ports: tuple[int, int], options: list[str]) -> int:
    """Both sides up, filled, warmed; then compare.py with the signing driver."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    key, file = rsa.generate_private_key(65537, 2048), folder / "signing.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = DnsServer(zone(key))
    drives = [sys.executable, "-m", "tests.bench.dkim", "drive", str(bench), str(file)]
    with ExitStack() as stack:
        stack.callback(server.stop)
        targets = [
            stack.enter_context(peer(bench, folder / "peer", key, ports[0])),
            stack.enter_context(ours(folder / "congvan", server.place, ports[1])),
        ]
        for one in targets:
            subprocess.run(
                [*drives, "run", "--target", str(one), "--only", "fanout", "--quick"], check=True, cwd=_ROOT
            )
            sys.stderr.write(f"{one}: {proved(key, one)}\n")
        sys.path.insert(0, str(bench))
        compare: Any = importlib.import_module("compare")
        compare.run = partial(_run, drives)
        out = ["--out", str(folder / "results-dkim.json"), "--only", "ingest"]
        sys.argv = ["compare.py", *(str(one) for one in targets), *out, *options]
        return int(compare.main())


def _run(drives: list[str], target: str, scenario: str, extra: list[str]) -> list[dict[str, Any]]:
    words = [*drives, "run", "--target", target, "--only", scenario, *extra]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, cwd=_ROOT, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return rows or [{"scenario": scenario, "error": f"no output, exit {done.returncode}"}]


def main() -> int:
    """The command line."""
    if sys.argv[1:2] == ["drive"]:
        return drive(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dkim")
    parser.add_argument("dir", type=Path)
    parser.add_argument("bench", type=Path, help="folder of the load driver")
    parser.add_argument("--peer-port", type=int, default=43000)
    parser.add_argument("--base-port", type=int, default=34000)
    args, options = parser.parse_known_args()
    ports = (args.peer_port, args.base_port)
    return measure(args.dir.absolute(), args.bench.absolute(), ports, options)


if __name__ == "__main__":
    sys.exit(main())
