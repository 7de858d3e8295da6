# SPDX-License-Identifier: AGPL-3.0-or-later
"""Real mail programs and libraries against the real server, over TLS."""

from __future__ import annotations

import asyncio
import imaplib
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import aioimaplib
import imapclient

from tests.mailserver.imap.conftest import Served, message


def context(served: Served) -> ssl.SSLContext:
    """A client context that trusts the server's certificate and nothing else."""
    return ssl.create_default_context(cafile=served.ca)


def test_imaplib(served: Served, password: str) -> None:
    """Python's own client: STARTTLS, read, flag, copy, append, expunge."""
    served.fill(3)
    client = imaplib.IMAP4("127.0.0.1", served.port)
    client.starttls(ssl.create_default_context(cafile=served.ca))
    client.login(served.person("cv1").address, password)
    assert client.select() == ("OK", [b"3"])
    assert client.fetch("1:*", "(UID FLAGS)")[1][2] == b"3 (UID 3 FLAGS ())"
    kind, data = client.fetch("2", "(RFC822)")
    assert kind == "OK"
    assert isinstance(data[0], tuple)
    assert data[0][1] == message("thư 2")
    assert client.store("1", "+FLAGS", "\\Deleted")[1] == [b"1 (UID 1 FLAGS (\\Deleted))"]
    assert client.copy("2", '"Nh&AOE-p"')[0] == "OK"
    assert client.expunge()[1] == [b"1"]
    assert client.append("INBOX", "\\Seen", imaplib.Time2Internaldate(0), message("mới"))[0] == "OK"
    client.literal = "kính gửi".encode()
    assert client.uid("SEARCH", "CHARSET", "UTF-8", "TEXT")[1] == [b"2 3 4"]
    assert client.logout()[0] == "BYE"


def test_imapclient(served: Served, password: str) -> None:
    """IMAPClient parses everything: LIST, ENVELOPE, BODYSTRUCTURE, MOVE, IDLE, CONDSTORE."""
    served.fill(3)
    with imapclient.IMAPClient("localhost", port=served.tls_port, ssl_context=context(served)) as client:
        client.login(served.person("cv1").address, password)
        names = {name: flags for flags, _, name in client.list_folders()}
        assert b"\\Sent" in names["Đã gửi"]
        assert client.find_special_folder(b"\\Trash") == "Thùng rác"
        assert client.select_folder("INBOX")[b"EXISTS"] == 3
        found = client.fetch(
            [1, 2, 3], ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "MODSEQ"]
        )
        assert imapclient.response_types.Envelope is type(found[1][b"ENVELOPE"])
        assert found[1][b"ENVELOPE"].from_[0].mailbox == b"vp"
        assert found[1][b"BODYSTRUCTURE"][:2] == (b"text", b"plain")
        assert found[1][b"INTERNALDATE"] == datetime.fromtimestamp(1_780_000_000)
        assert client.search(["SUBJECT", "thư 2"], charset="UTF-8") == [2]
        client.create_folder("Công văn/Đến")
        client.move([2], "Công văn/Đến")
        assert client.folder_status("Công văn/Đến", ["MESSAGES"])[b"MESSAGES"] == 1
        assert client.search() == [1, 3]
        client.add_flags([1], ["\\Flagged", "$Gap"])
        assert set(client.get_flags([1])[1]) == {b"\\Flagged", b"$Gap"}
        client.idle()
        served.put(message("đến khi chờ"))
        pushed = client.idle_check(timeout=10)
        assert (3, b"EXISTS") in pushed
        client.idle_done()
        client.delete_messages([1])
        client.expunge([1])
        assert client.search() == [3, 4]
        client.rename_folder("Công văn/Đến", "Đến")
        client.delete_folder("Đến")
        assert not client.folder_exists("Đến")
        client.append("Nháp", message("bản nháp"), [b"\\Draft"], datetime.now(UTC))
        assert client.folder_status("Nháp")[b"MESSAGES"] == 1


def test_aioimaplib(served: Served, password: str) -> None:
    """The asyncio client of the importer: IDLE, MOVE, UIDs."""
    served.fill(2)

    async def talk() -> None:
        client = aioimaplib.IMAP4_SSL(
            host="localhost", port=served.tls_port, ssl_context=context(served), timeout=10
        )
        await client.wait_hello_from_server()
        assert (await client.login(served.person("cv1").address, password)).result == "OK"
        assert (await client.select("INBOX")).result == "OK"
        await client.idle_start(timeout=30)
        await asyncio.to_thread(served.put, message("mới"))
        assert b"3 EXISTS" in await client.wait_server_push(timeout=10)
        client.idle_done()
        answer = await client.uid("fetch", "1:*", "(FLAGS BODY.PEEK[])")
        assert answer.result == "OK"
        assert bytearray(message("thư 1")) in answer.lines
        assert (await client.uid("move", "1", "Nh&AOE-p")).result == "OK"
        assert (await client.search("ALL")).lines[0] == b"1 2"
        refused = await client.select("khong-co")
        assert refused.result == "NO"
        await client.logout()

    asyncio.run(talk())


def test_mbsync(served: Served, password: str, tmp_path: Path) -> None:
    """mbsync: all mail down, a new one and a deletion up, a deletion down, then nothing to do."""
    served.fill(4)
    here = tmp_path / "maildir"
    here.mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        f"IMAPAccount there\nHost localhost\nPort {served.tls_port}\nUser {served.person('cv1').address}\n"
        f"Pass {password}\nSSLType IMAPS\nCertificateFile {served.ca}\n\n"
        "IMAPStore far\nAccount there\n\n"
        f"MaildirStore near\nPath {here}/\nInbox {here}/INBOX\nSubFolders Verbatim\n\n"
        'Channel all\nFar :far:\nNear :near:\nPatterns INBOX "Nháp" "Đã gửi"\nCreate Both\nExpunge Both\nSyncState *\n'
    )

    def sync() -> None:
        done = subprocess.run(
            ["mbsync", "-c", str(settings), "-a"], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr

    sync()
    got = sorted((here / "INBOX").glob("*/*"))
    assert len(got) == 4
    assert any("thư 1".encode() in one.read_bytes() for one in got)
    (here / "INBOX" / "new" / "1.local").write_bytes(message("từ máy").replace(b"\r\n", b"\n"))
    next(iter(got)).unlink()
    served.run(served.store.set_flags(served.inbox(), [4], "add", 8))
    served.run(served.store.expunge(served.inbox()))
    sync()
    mailbox = served.store.mailbox(served.inbox())
    assert mailbox is not None
    assert len(list((here / "INBOX").glob("*/*"))) == mailbox.exists
    before = (mailbox.highestmodseq, mailbox.uidnext)
    sync()
    again = served.store.mailbox(served.inbox())
    assert again is not None
    assert (again.highestmodseq, again.uidnext) == before


def test_mutt(served: Served, password: str, tmp_path: Path) -> None:
    """mutt in batch: opens the inbox, flags, saves (moves) one message into a folder, deletes one."""
    served.fill(3)
    address = served.person("cv1").address
    keys = (
        "<first-entry><flag-message><next-entry><save-message>=Nháp<enter>"
        "<last-entry><delete-message><sync-mailbox><exit>"
    )
    settings = tmp_path / "muttrc"
    settings.write_text(
        f'set imap_user="{address}"\nset imap_pass="{password}"\nset folder="imaps://localhost:{served.tls_port}/"\n'
        f'set certificate_file="{served.ca}"\nset ssl_ca_certificates_file="{served.ca}"\nset ssl_usesystemcerts=no\n'
        'set spoolfile="+INBOX"\nset confirmappend=no\nset confirmcreate=no\nset delete=yes\nset move=no\nset quit=yes\n'
        'set header_cache=""\nset sort=mailbox-order\nset charset="utf-8"\nset wait_key=no\nset resolve=no\n'
        "set imap_idle=no\nset mark_old=no\n"
        f'push "{keys}"\n'
    )
    done = subprocess.run(
        ["script", "-qec", f"mutt -n -F {settings}", "/dev/null"],
        capture_output=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"HOME": str(tmp_path), "TERM": "xterm", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    screen = done.stdout.decode("utf-8", "replace")[-3000:]
    rows = served.store.uid_map(served.inbox())
    assert [(row.uid, row.flags & 4) for row in rows] == [(1, 4)], screen
    drafts = served.store.find(served.person("cv1").ref, "Nháp")
    assert drafts is not None
    found = [served.store.summary(row.blob).subject for row in served.store.uid_map(drafts)]
    assert found == ["thư 2"], screen


def test_javamail(served: Served, password: str, tmp_path: Path) -> None:
    """JavaMail (as many Java programs embed it), over STARTTLS and COMPRESS=DEFLATE."""
    served.fill(3)
    classes = "/usr/share/java/javax.mail.jar"
    store = tmp_path / "trust.p12"
    subprocess.run(
        [
            "keytool",
            "-importcert",
            "-noprompt",
            "-alias",
            "ca",
            "-file",
            str(served.ca),
            "-keystore",
            str(store),
            "-storetype",
            "PKCS12",
            "-storepass",
            "changeit",
        ],
        check=True,
        capture_output=True,
    )
    source = Path(__file__).parent / "java" / "Reader.java"
    built = subprocess.run(
        ["javac", "-encoding", "UTF-8", "-cp", classes, "-d", str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    address = served.person("cv1").address
    done = subprocess.run(
        [
            "java",
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-Dfile.encoding=UTF-8",
            f"-Djavax.net.ssl.trustStore={store}",
            "-Djavax.net.ssl.trustStorePassword=changeit",
            "-cp",
            f"{classes}:{tmp_path}",
            "Reader",
            str(served.port),
            address,
            password,
            "true",
        ],
        capture_output=True,
        timeout=90,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stderr.decode()
    assert "folder Đã gửi" in lines
    assert [one for one in lines if one.startswith("message")] == [
        f"message {number} thư {number} text/plain; charset=utf-8" for number in (1, 2, 3)
    ]
    assert "body Kính gửi các đơn vị." in lines
    assert "left 2" in lines
    rows = served.store.uid_map(served.inbox())
    assert [(row.uid, row.flags & 4) for row in rows] == [(2, 4), (4, 0)]
    assert served.store.summary(rows[1].blob).subject == "từ Java"


def test_neomutt(served: Served, password: str, tmp_path: Path) -> None:
    """neomutt in batch, with QRESYNC, COMPRESS and IDLE on: twice, the second time from its cache."""
    served.fill(3)
    address = served.person("cv1").address
    cache = tmp_path / "cache"
    cache.mkdir()
    settings = tmp_path / "neomuttrc"

    def run(keys: str) -> str:
        settings.write_text(
            f'set imap_user="{address}"\nset imap_pass="{password}"\n'
            f'set folder="imaps://localhost:{served.tls_port}/"\nset certificate_file="{served.ca}"\n'
            f'set ssl_ca_certificates_file="{served.ca}"\nset ssl_usesystemcerts=no\nset spoolfile="+INBOX"\n'
            f'set header_cache="{cache}"\nset imap_qresync=yes\nset imap_condstore=yes\nset imap_deflate=yes\n'
            "set imap_idle=yes\nset confirmappend=no\nset confirmcreate=no\nset delete=yes\nset move=no\nset quit=yes\n"
            'set sort=mailbox-order\nset charset="utf-8"\nset wait_key=no\nset resolve=no\nset mark_old=no\n'
            f'push "{keys}"\n'
        )
        done = subprocess.run(
            ["script", "-qec", f"neomutt -n -F {settings}", "/dev/null"],
            capture_output=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"HOME": str(tmp_path), "TERM": "xterm", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        )
        return done.stdout.decode("utf-8", "replace")[-3000:]

    screen = run("<first-entry><flag-message><last-entry><delete-message><sync-mailbox><exit>")
    rows = served.store.uid_map(served.inbox())
    assert [(row.uid, row.flags & 4) for row in rows] == [(1, 4), (2, 0)], screen
    served.put(message("thư mới"))
    served.run(served.store.set_flags(served.inbox(), [2], "add", 8))
    served.run(served.store.expunge(served.inbox()))
    screen = run("<last-entry><flag-message><sync-mailbox><exit>")
    rows = served.store.uid_map(served.inbox())
    assert [(row.uid, row.flags & 4) for row in rows] == [(1, 4), (4, 4)], screen
