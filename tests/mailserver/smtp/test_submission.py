# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail from our own people."""

from __future__ import annotations

import smtplib

from tests.conftest import PASSWORD
from tests.mailserver.smtp.serving import Serving, Talk
from tests.mailserver.smtp.talking import CV1, CV2, begin, data, sign_in


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
