# SPDX-License-Identifier: AGPL-3.0-or-later
"""S3, S4, S33: What one connection may ask for is bounded, and the others notice nothing."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time

import pytest

from mailserver.smtp import session
from tests.mailserver.smtp.serving import LIMIT, Serving, Talk
from tests.mailserver.smtp.talking import CV1, CV2, begin, data, flood, sign_in


def test_s3_oversize_is_told_and_the_session_goes_on(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        begin(talk)
        line = b"x" * 998 + b"\r\n"
        assert data(talk, line * (LIMIT // 1000 + 50) + b".\r\n").startswith("552-5.3.4")
        assert talk.ask("NOOP").startswith("250")
    assert mail.inbox(CV1) == []


def test_s3_endless_data_is_cut(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        begin(talk)
        talk.ask("DATA")
        assert flood(talk) < 10 * LIMIT


def test_s3_endless_bdat_is_cut(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        begin(talk)
        assert talk.ask("BDAT 99999999999 LAST").startswith("552")
        assert talk.file.read() == b""


def test_s4_endless_command_line_is_cut(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        assert flood(talk) < 10 * LIMIT


def test_long_command_line_is_refused_and_the_session_goes_on(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        assert talk.ask("EHLO " + "x" * 3000).startswith("500-5.5.2")
        assert talk.ask("EHLO x").startswith("250")


def test_too_many_errors_end_the_session(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        begin(talk)
        for number in range(20):
            assert talk.ask(f"RCPT TO:<doan{number}@vpubnd.camau.example>").startswith("550-5.1.1")
        assert talk.reply().startswith("421")
        assert talk.file.read() == b""


def test_pipelined_garbage(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        talk.send(b"\x16\x03\x01 garbage\r\n" * 5000)
        assert talk.file.read().count(b"\r\n") < 100


def test_max_recipients(mail: Serving) -> None:
    with Talk(mail.submission) as talk:
        sign_in(talk)
        begin(talk, *(f"p{number}@outside.example" for number in range(5)), sender=CV1)
        assert talk.ask(f"RCPT TO:<{CV2}>").startswith("452-4.5.3")
        assert data(talk, f"From: {CV1}\r\n\r\nx\r\n.\r\n".encode()).startswith("250")


def test_a_chunk_nobody_may_have_is_read_and_refused(mail: Serving) -> None:
    """Pipelined BDAT after a refused recipient: the chunk is not taken for commands (RFC 3030 §4.2)."""
    with Talk(mail.mx) as talk:
        talk.all("EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<nobody@vpubnd.camau.example>")
        talk.send(b"BDAT 500000 LAST\r\n" + b"QUIT\r\n" * 83333 + b"xxNOOP\r\n")
        assert talk.reply().startswith("503")
        assert talk.reply() == "250 2.0.0 OK"


def test_silent_clients_are_ended(mail: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_FIRST_TIMEOUT_S", 0.2)
    with Talk(mail.mx) as talk:
        assert talk.reply().startswith("421-4.4.2")
        assert talk.file.read() == b""


def test_too_many_connections(mail: Serving) -> None:
    mail.loop.run(mail.server.stop())
    mail.server._most = 3
    mail.loop.run(mail.server.start())
    talks = [Talk(mail.mx) for _ in range(3)]
    with Talk(mail.mx, greet=False) as late:
        assert late.reply().startswith("421-4.3.2")
    for one in talks:
        assert one.ask("QUIT").startswith("221")
        one.close()


def test_s33_no_more_files_is_survived(mail: Serving) -> None:
    """With no descriptors left the server neither spins nor dies, and goes on once there are some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    where = mail.mx
    late = socket.socket()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
        with contextlib.suppress(OSError):
            while len(held) < 1000:
                held.append(open(os.devnull))  # noqa: SIM115
        assert len(held) < 1000
        late.connect(where)
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.4
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        late.close()
    with Talk(where) as talk:
        assert talk.ask("NOOP").startswith("250")


def test_50_000_recipients(mail: Serving) -> None:
    """S4's neighbour: every RCPT gets its answer, those past the limit 452, at little cost, and what was accepted
    is delivered; another session is served meanwhile."""
    count, most = 50_000, mail.settings.mail.max_recipients
    before = time.process_time()
    with Talk(mail.mx, seconds=60) as talk, Talk(mail.mx) as other:
        begin(talk)
        sending = threading.Thread(target=talk.send, args=(f"RCPT TO:<{CV1}>\r\n".encode() * count,))
        sending.start()
        begin(other, CV2)
        assert data(other, b"Subject: other\r\n\r\nx\r\n.\r\n").startswith("250")
        answers = [talk.reply()[:3] for _ in range(count)]
        sending.join()
        assert answers == ["250"] * (most - 1) + ["452"] * (count - most + 1)
        assert data(talk, b"Subject: many\r\n\r\nx\r\n.\r\n").startswith("250")
    assert time.process_time() - before < 20  # 2 to 5 s for both sides on an idle machine
    assert len(mail.inbox(CV1)) == len(mail.inbox(CV2)) == 1


def test_slow_loris(mail: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that drip a byte now and then in whatever state, and those that say nothing, are ended in time;
    meanwhile another is served."""
    monkeypatch.setattr(session, "_FIRST_TIMEOUT_S", 1.0)
    monkeypatch.setattr(session, "_TIMEOUT_S", 1.0)
    talks: list[Talk] = []
    for number in range(60):
        talks.append(Talk(mail.mx, greet=False))
        if number % 3:
            assert talks[-1].reply().startswith("220 ")
            begin(talks[-1])
        if number % 3 == 2:
            assert talks[-1].ask("DATA").startswith("354")
    alive, end = set(talks), time.monotonic() + 20
    with Talk(mail.mx) as other:
        begin(other, CV2)
        assert data(other, b"Subject: other\r\n\r\nx\r\n.\r\n").startswith("250")
    while alive and time.monotonic() < end:
        for one in list(alive):
            try:
                one.send(b"x")
            except OSError:
                alive.discard(one)
        time.sleep(0.05)
    for one in talks:
        one.close()
    assert not alive
    assert mail.inbox(CV1) == []
    assert len(mail.inbox(CV2)) == 1
