# SPDX-License-Identifier: AGPL-3.0-or-later
"""The S and Q rows of peers/mail.md that speak of SMTP, each a named test against a real server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import resource
import smtplib
import socket
import ssl
import threading
import time
from typing import Any

import pytest

from mailserver.delivery import Incoming
from mailserver.smtp import session
from tests.conftest import PASSWORD
from tests.mailserver.smtp.serving import LIMIT, Serving, Talk

CV1, CV2 = "cv1@vpubnd.camau.example", "cv2@vpubnd.camau.example"


def begin(talk: Talk, *recipients: str, sender: str = "ai@elsewhere.example") -> None:
    answers = talk.all(
        "EHLO p.example", f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients or (CV1,))
    )
    assert all(one.startswith("250") for one in answers), answers


def data(talk: Talk, content: bytes) -> str:
    assert talk.ask("DATA").startswith("354")
    talk.send(content)
    return talk.reply()


def sign_in(talk: Talk, address: str = CV1, password: str = PASSWORD) -> str:
    talk.ask("EHLO client.example")
    return talk.ask("AUTH PLAIN " + base64.b64encode(f"\0{address}\0{password}".encode()).decode())


def flood(talk: Talk) -> int:
    """Send letters A until the server ends it; how many bytes went."""
    sent = 0
    try:
        while sent < 40 * LIMIT:
            talk.send(b"A" * 65536)
            sent += 65536
    except OSError:
        pass
    return sent


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


def test_s2_starttls_injection(mail: Serving) -> None:
    with socket.create_connection(mail.submission, 10) as plain:
        plain.recv(1000)
        plain.sendall(b"EHLO x\r\n")
        assert b"STARTTLS" in plain.recv(4000)
        plain.sendall(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x.example>\r\n")
        assert plain.recv(1000).startswith(b"220 ")
        with mail.client_tls().wrap_socket(plain, server_hostname="localhost") as secure:
            file = secure.makefile("rb")
            secure.sendall(b"NOOP\r\n")
            assert file.readline() == b"250 2.0.0 OK\r\n"  # nothing answers the injected commands
            secure.sendall(b"MAIL FROM:<x@x.example>\r\n")
            assert file.readline().startswith(b"503")  # EHLO of before TLS is forgotten
            secure.sendall(b"STARTTLS\r\n")
            assert file.readline().startswith(b"503")
            secure.sendall(b"EHLO y\r\n")
            offers = []
            while not offers or offers[-1][3:4] == b"-":
                offers.append(file.readline())
            assert any(one[4:] == b"AUTH PLAIN LOGIN\r\n" for one in offers)
            assert not any(b"STARTTLS" in one for one in offers)


def test_s2_signing_in_before_tls_is_forgotten(mail: Serving) -> None:
    with Talk(mail.submission) as talk:
        assert sign_in(talk).startswith("235")
        assert talk.ask("STARTTLS").startswith("220")
        secure = mail.client_tls().wrap_socket(talk.socket, server_hostname="localhost")
        file = secure.makefile("rb")
        secure.sendall(f"EHLO x\r\nMAIL FROM:<{CV1}>\r\n".encode())
        while not (line := file.readline()).startswith(b"250 "):
            assert line
        assert file.readline().startswith(b"530")
        secure.close()


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


def test_s6_huge_header_is_refused(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, b"X: y\r\n" * 200_000 + b"\r\nbody\r\n.\r\n").startswith("554-5.6.0")


def test_s6_long_lines_are_taken_as_they_are(mail: Serving) -> None:
    body = b"z" * 300_000
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, b"Subject: l\r\n\r\n" + body + b"\r\n.\r\n").startswith("250")
    assert mail.inbox(CV1)[0].endswith(b"\r\n\r\n" + body + b"\r\n")


def test_s8_bad_sign_ins_do_not_hinder_others(mail: Serving) -> None:
    def nag() -> None:
        with Talk(mail.submission) as talk:
            talk.ask("EHLO x")
            for _ in range(15):
                assert talk.ask("AUTH PLAIN " + "=" * 30).startswith("501")

    threads = [threading.Thread(target=nag) for _ in range(20)]
    for one in threads:
        one.start()
    with Talk(mail.submission) as talk:
        assert sign_in(talk).startswith("235")
    for one in threads:
        one.join()


def test_s34_loops_end(mail: Serving) -> None:
    received = b"Received: from a by b; Mon, 5 Jan 2026 08:00:00 +0700\r\n"
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, received * 50 + b"\r\nx\r\n.\r\n").startswith("250")
        begin(talk)
        assert data(talk, received * 51 + b"\r\nx\r\n.\r\n").startswith("554-5.4.6")


def test_s39_wrong_passwords_are_throttled_for_that_account_only(mail: Serving) -> None:
    answers = []
    for number in range(8):
        with Talk(mail.submission) as talk:
            answers.append(sign_in(talk, CV1, f"wrong {number}"))
    assert answers[0].startswith("535-5.7.8")
    assert answers[-1].startswith("454-4.7.0")
    with Talk(mail.submission) as talk:
        assert sign_in(talk, CV2).startswith("235")


def test_three_wrong_passwords_end_the_session(mail: Serving) -> None:
    with Talk(mail.submission) as talk:
        for _ in range(3):
            assert sign_in(talk, CV1, "wrong").startswith("535")
        assert talk.reply().startswith("421")
        assert talk.file.read() == b""


def test_s42_logs_hold_no_secrets(mail: Serving, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Talk(mail.submission) as talk:
        sign_in(talk)
        begin(talk, CV2, sender=CV1)
        data(talk, f"From: {CV1}\r\nSubject: ngon-tu-kin\r\n\r\nx\r\n.\r\n".encode())
    secret = base64.b64encode(f"\0{CV1}\0{PASSWORD}".encode()).decode()
    for planted in (PASSWORD, secret, "ngon-tu-kin"):
        assert planted not in caplog.text


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


def test_q32_login_with_initial_data_and_blanks_after_the_colon(mail: Serving) -> None:
    with Talk(mail.submission) as talk:
        talk.ask("EHLO outlook")
        assert talk.ask("AUTH LOGIN " + base64.b64encode(CV1.encode()).decode()).startswith("334")
        assert talk.ask(base64.b64encode(PASSWORD.encode()).decode()).startswith("235")
        assert talk.ask(f"MAIL FROM: <{CV1}>").startswith("250")
        assert talk.ask(f"RCPT TO: <{CV2}>").startswith("250")


def test_q34_8bit_without_8bitmime_is_kept_byte_for_byte(mail: Serving) -> None:
    content = f"From: {CV1}\r\nSubject: Công văn\r\n\r\nvăn bản\r\n".encode()
    with Talk(mail.submission) as talk:
        sign_in(talk)
        talk.all(f"MAIL FROM:<{CV1}> SMTPUTF8", f"RCPT TO:<{CV2}>")
        assert data(talk, content + b".\r\n").startswith("250")
    (got,) = mail.inbox(CV2)
    assert got.endswith(content)
    assert b"with UTF8SMTPA id" in got
    assert got.count(b"\r\nMessage-ID: <") == got.count(b"\r\nDate: ") == 1


def test_from_must_be_the_senders(mail: Serving) -> None:
    with Talk(mail.submission) as talk:
        sign_in(talk)
        begin(talk, CV2, sender=CV1)
        answer = data(talk, b"From: Lanh dao <lanhdao@vpubnd.camau.example>\r\n\r\nx\r\n.\r\n")
        assert answer.startswith("550-5.7.1 You may not send as lanhdao@")
    assert mail.inbox(CV2) == []


def test_a_clerk_sends_as_the_registry(mail: Serving) -> None:
    registry = mail.province.home.registry_address
    with Talk(mail.submission) as talk:
        sign_in(talk, "vt1@vpubnd.camau.example")
        begin(talk, CV2, sender=registry)
        assert data(talk, f"From: <{registry}>\r\n\r\nx\r\n.\r\n".encode()).startswith("250")
    assert len(mail.inbox(CV2)) == 1


def test_submission_over_tls_with_smtplib(mail: Serving) -> None:
    for make in (
        lambda: smtplib.SMTP_SSL(*mail.submissions, context=mail.client_tls()),
        lambda: smtplib.SMTP(*mail.submission),
    ):
        with make() as client:
            if not isinstance(client, smtplib.SMTP_SSL):
                client.starttls(context=mail.client_tls())
            client.login(CV1, PASSWORD)
            client.sendmail(CV1, [CV2], f"From: {CV1}\r\nSubject: tls\r\n\r\nx\r\n")
    first, second = mail.inbox(CV2)
    assert b"with ESMTPSA id" in first
    assert b"(TLSv1.3 TLS_AES_256_GCM_SHA384)" in second


def test_no_sign_in_in_clear_unless_allowed(mail: Serving) -> None:
    mail.loop.run(mail.server.stop())
    object.__setattr__(mail.settings.mail, "plaintext_on_loopback", False)
    mail.loop.run(mail.server.start())
    with Talk(mail.submission) as talk:
        assert "AUTH" not in talk.ask("EHLO x")
        assert sign_in(talk).startswith("538-5.7.11")


def test_delivery_errors_defer(mail: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed (DESIGN 4.10): what can't be judged or stored is deferred, never passed."""

    async def broken(incoming: Incoming) -> Any:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(mail.delivery, "deliver", broken)
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, b"Subject: a\r\n\r\n.\r\n").startswith("451-4.3.0")
        assert talk.ask("NOOP").startswith("250")


def test_what_was_sent_before_eof_is_answered(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        talk.send(
            f"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{CV1}>\r\nDATA\r\nSubject: e\r\n\r\n.\r\n".encode()
        )
        talk.socket.shutdown(socket.SHUT_WR)
        assert b"250 2.0.0 Accepted" in talk.file.read()
    assert len(mail.inbox(CV1)) == 1


def test_stopping_says_421(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        talk.ask("EHLO x")
        mail.loop.run(mail.server.stop())
        assert talk.reply().startswith("421-4.3.2")
        assert talk.file.read() == b""
    mail.loop.run(mail.server.start())


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


def test_tls_refuses_old_versions_of_clients_gracefully(mail: Serving) -> None:
    """Plain bytes on the implicit-TLS port end that connection only."""
    with socket.create_connection(mail.submissions, 5) as plain:
        plain.sendall(b"EHLO x\r\n")
        assert plain.recv(100)[:1] in (b"", b"\x15")
    with ssl.create_default_context(cafile=str(mail.folder / "ca.pem")).wrap_socket(
        socket.create_connection(mail.submissions, 5), server_hostname="localhost"
    ) as secure:
        assert secure.recv(100).startswith(b"220 ")


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


def test_a_client_that_goes_away_during_delivery_does_not_stop_it(
    mail: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun = mail.delivery.deliver, threading.Event()

    async def slowly(incoming: Incoming) -> Any:
        begun.set()
        await asyncio.sleep(0.3)
        return await real(incoming)

    monkeypatch.setattr(mail.delivery, "deliver", slowly)
    with Talk(mail.mx) as talk:
        begin(talk)
        talk.ask("DATA")
        talk.send(b"Subject: a\r\n\r\n.\r\n")
        assert begun.wait(5)
    end = time.monotonic() + 5
    while not mail.inbox(CV1):
        assert time.monotonic() < end
        time.sleep(0.02)


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
