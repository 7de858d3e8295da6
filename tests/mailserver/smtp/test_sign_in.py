# SPDX-License-Identifier: AGPL-3.0-or-later
"""S8, S13, S39, S42: signing in, by those who may and by those who guess."""

from __future__ import annotations

import base64
import logging
import threading

import pytest

from mailserver.store.verify import verify_data
from tests.conftest import PASSWORD
from tests.mailserver.smtp.serving import Serving, Talk
from tests.mailserver.smtp.talking import CV1, CV2, begin, data, sign_in


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


def test_q32_login_with_initial_data_and_blanks_after_the_colon(mail: Serving) -> None:
    with Talk(mail.submission) as talk:
        talk.ask("EHLO outlook")
        assert talk.ask("AUTH LOGIN " + base64.b64encode(CV1.encode()).decode()).startswith("334")
        assert talk.ask(base64.b64encode(PASSWORD.encode()).decode()).startswith("235")
        assert talk.ask(f"MAIL FROM: <{CV1}>").startswith("250")
        assert talk.ask(f"RCPT TO: <{CV2}>").startswith("250")


def test_s39_a_thousand_addresses_with_one_guess_each(mail: Serving) -> None:
    """S39: guessing one account's password from 1,000 addresses is slowed; other accounts are not."""
    answers = []
    for number in range(1000):
        with Talk(mail.submission, source=f"127.1.{number // 250}.{number % 250 + 1}") as talk:
            answers.append(sign_in(talk, CV1, f"guess {number}")[:8])
            if len(answers) > 60 and answers[-10:] == ["454-4.7."] * 10:
                break
    assert answers[0] == "535-5.7."
    assert answers.count("535-5.7.") <= 60
    assert answers[-1] == "454-4.7."
    with Talk(mail.submission, source="127.9.9.9") as talk:
        assert sign_in(talk, CV2).startswith("235")


def test_s39_an_office_behind_one_address(mail: Serving) -> None:
    """S39: one bad client of an office does not shut out its colleagues behind the same address."""
    for number in range(10):
        with Talk(mail.submission, source="127.5.5.5") as talk:
            sign_in(talk, CV1, f"wrong {number}")
    for _ in range(20):
        with Talk(mail.submission, source="127.5.5.5") as talk:
            assert sign_in(talk, CV2).startswith("235")


BAD_AUTH = [
    b"AUTH PLAIN " + b"=" * 30,
    b"AUTH PLAIN \xff\xfe",
    b"AUTH PLAIN AGFiY8OD",  # truncated UTF-8 inside
    b"AUTH PLAIN AAAAAAAAAAAAAAAA",  # NULs
    b"AUTH PLAIN " + b"QQ" * 5_000,
    b"AUTH LOGIN gICA",
    b"AUTH CRAM-MD5",
    b"AUTH",
    b"AUTH PLAIN\r\n*",
    b"AUTH PLAIN\r\n" + b"A" * 12_000,
]


@pytest.mark.parametrize("line", BAD_AUTH, ids=lambda line: repr(line[:24]))
def test_s8_malformed_auth(line: bytes, mail: Serving) -> None:
    """S8: bad base64, truncated UTF-8, NUL, endless answers: a clear code, and the session goes on."""
    with Talk(mail.submission) as talk:
        talk.ask("EHLO x")
        talk.send(line + b"\r\n")
        answer = talk.reply()
        if answer.startswith("334"):
            answer = talk.reply()
        assert answer[:3] in ("500", "501", "504"), answer
        assert sign_in(talk).startswith("235")


HOSTILE = [
    "*)(uid=*",
    "admin)(|(password=*",
    "' OR 1=1--",
    "'; DROP TABLE account; --",
    "\\",
    "x\\' OR \\'1",
    "%",
    "_" * 20,
    "cv1@vpubnd.camau.example' --",
    "${jndi:ldap://x.example}",
    "{{7*7}}",
    "../../etc/passwd",
    "ⓒv1@vpubnd.camau.example",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_s13_names_are_never_more_than_names(name: str, mail: Serving) -> None:
    """S13: injections in every field a client may fill: user, HELO, sender, recipient, header; none of them opens,
    finds or changes anything, also when the message is read again later."""
    with Talk(mail.submission) as talk:
        assert sign_in(talk, name).startswith("535-5.7.8")
        assert sign_in(talk, name, name).startswith("535-5.7.8")
    with Talk(mail.mx) as talk:
        talk.ask(f"EHLO {name}")
        assert talk.ask(f"MAIL FROM:<{name}> SMTPUTF8")[:3] in ("250", "501", "553", "555")
        assert talk.ask("RSET").startswith("250")
        assert talk.ask("MAIL FROM:<a@elsewhere.example> SMTPUTF8").startswith("250")
        assert talk.ask(f"RCPT TO:<{name}>")[:3] in ("501", "550", "553", "555")
        assert talk.ask(f'RCPT TO:<"{name}"@vpubnd.camau.example>')[:3] in ("501", "550", "553")
        assert talk.ask(f"RCPT TO:<{CV1}>").startswith("250")
        content = f'From: "{name}" <a@elsewhere.example>\r\nSubject: {name}\r\nMessage-ID: <{name}>\r\n\r\nx {name}\r\n'
        assert data(talk, content.encode() + b".\r\n").startswith("250")
    (kept,) = mail.inbox(CV1)
    assert kept.endswith(content.encode())
    assert len(mail.province.accounts.all()) == 10
    province = mail.province
    assert verify_data(province.database, province.segments, province.seal).problems == []
