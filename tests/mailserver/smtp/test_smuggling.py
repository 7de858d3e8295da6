# SPDX-License-Identifier: AGPL-3.0-or-later
"""S1: one message in is one message or none; bare line ends, NUL, and sizes that are lies."""

from __future__ import annotations

import socket

import pytest

from tests.mailserver.smtp.serving import LIMIT, Serving, Talk
from tests.mailserver.smtp.talking import CV1, CV2, begin, data

SMUGGLING = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
]


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
@pytest.mark.parametrize("fake", SMUGGLING, ids=repr)
def test_s1_smuggling(fake: bytes, split: bool, mail: Serving) -> None:
    inner = f"MAIL FROM:<admin@evil.example>\r\nRCPT TO:<{CV2}>\r\nDATA\r\nSubject: false\r\n\r\nx\r\n.\r\n".encode()
    content = b"Subject: one\r\n\r\nbody" + fake + inner
    with Talk(mail.mx) as talk:
        begin(talk)
        assert talk.ask("DATA").startswith("354")
        if split:
            talk.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(content), 3):
                talk.send(content[at : at + 3])
        else:
            talk.send(content)
        assert talk.reply().startswith("550-5.6.0")
        assert talk.ask("NOOP") == "250 2.0.0 OK"
        assert talk.ask("QUIT").startswith("221")
    assert mail.inbox(CV1) == mail.inbox(CV2) == []


@pytest.mark.parametrize("fake", SMUGGLING, ids=repr)
def test_s1_smuggling_in_chunks(fake: bytes, mail: Serving) -> None:
    """S1, RFC 3030 §2: BDAT's bytes are counted, and what is no CRLF is refused as in DATA."""
    with Talk(mail.mx) as talk:
        begin(talk)
        content = b"Subject: one\r\n\r\nbody" + fake + b"MAIL FROM:<admin@evil.example>\r\n"
        talk.send(b"BDAT %d LAST\r\n" % len(content) + content)
        assert talk.reply().startswith("550-5.6.0")
        assert talk.ask("NOOP") == "250 2.0.0 OK"
    assert mail.inbox(CV1) == []


@pytest.mark.parametrize(
    "end", [b"\n", b"\r", b"\r\r\n", b"\0\r\n", b"\rRSET\r\n", b"\0", b"\nRSET\r\n"], ids=repr
)
def test_s1_bare_ends_and_nul_in_commands(end: bytes, mail: Serving) -> None:
    """S1: a bare CR, LF or NUL in a command is refused, carries out nothing, and the session goes on."""
    with Talk(mail.mx) as talk:
        talk.ask("EHLO x")
        assert talk.ask("MAIL FROM:<a@elsewhere.example>").startswith("250")
        talk.send(b"RCPT TO:<" + CV2.encode() + b">" + end + (b"" if end.endswith(b"\n") else b"NOOP\r\n"))
        assert talk.reply().startswith("500-5.5.2")
        while end == b"\nRSET\r\n" and talk.reply() != "250 2.0.0 OK":
            pass
        assert talk.ask("DATA").startswith("503")
    assert mail.inbox(CV2) == []


@pytest.mark.parametrize("said", ["0", "10", "1000"])
def test_s3_a_size_that_lies_is_worth_nothing(said: str, mail: Serving) -> None:
    """S3, RFC 1870 §6.3: little was announced and much comes; the limit is counted in what comes."""
    with Talk(mail.mx) as talk:
        talk.all("EHLO x", f"MAIL FROM:<a@b.example> SIZE={said}", f"RCPT TO:<{CV1}>")
        assert data(talk, b"Subject: s\r\n\r\n" + b"x" * 998 * 20 + b"\r\n.\r\n").startswith("250")
        talk.all(f"MAIL FROM:<a@b.example> SIZE={said}", f"RCPT TO:<{CV1}>")
        assert data(talk, (b"x" * 998 + b"\r\n") * (LIMIT // 1000 + 20) + b".\r\n").startswith("552-5.3.4")
        assert talk.ask("NOOP") == "250 2.0.0 OK"
    assert len(mail.inbox(CV1)) == 1


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (str(LIMIT + 1), "552"),
        ("9" * 20, "552"),
        ("9" * 21, "501"),
        ("-1", "501"),
        ("1e3", "501"),
        ("٣", "501"),
    ],
)
def test_s3_sizes_that_can_not_be(said: str, answer: str, mail: Serving) -> None:
    """S3: what is announced as too large, or is no number, is refused before a byte of it comes."""
    with Talk(mail.mx) as talk:
        talk.ask("EHLO x")
        assert talk.ask(f"MAIL FROM:<a@b.example> SIZE={said}").startswith(answer)
        assert talk.ask("MAIL FROM:<a@b.example>").startswith("250")


def test_s3_chunks_that_lie(mail: Serving) -> None:
    """S3: BDAT announces more than comes (nothing is delivered, the room is given back), or less (what is too much
    is taken for commands, and soon ends the session)."""
    spool = mail.server._spool
    room = spool.memory.left, spool.disk.left
    with Talk(mail.mx) as talk:
        begin(talk)
        talk.send(b"BDAT 1000000 LAST\r\nSubject: half\r\n\r\n")
        talk.socket.shutdown(socket.SHUT_WR)
        assert talk.file.read() == b""
    with Talk(mail.mx) as talk:
        begin(talk)
        talk.send(b"BDAT 10\r\n" + b"Subject: y\r\n" * 1000)
        assert talk.reply().startswith("250 2.0.0 10 bytes")
        assert talk.file.read().count(b"\r\n500-") <= 20
    assert mail.inbox(CV1) == []
    assert (spool.memory.left, spool.disk.left) == room
