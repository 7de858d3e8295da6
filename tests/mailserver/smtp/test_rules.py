# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the rules say reaches the sender: in the 250, in the 5xx, with the rule's id (DESIGN 4.9, §5)."""

from __future__ import annotations

from tests.mailserver.smtp.serving import Serving, Talk
from tests.mailserver.smtp.talking import CV1, CV2, data, sign_in


def send(mail: Serving, to: str, subject: str, text: str, parameters: str = "") -> str:
    header = f"From: {CV1}\r\nTo: {to}\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    with Talk(mail.submission) as talk:
        sign_in(talk)
        assert talk.ask(f"MAIL FROM:<{CV1}>{parameters}").startswith("250")
        assert talk.ask(f"RCPT TO:<{to}>").startswith("250")
        return data(talk, f"{header}\r\n{text}\r\n.\r\n".encode())


def test_a_warning_is_named_in_the_250(mail: Serving) -> None:
    answer = send(mail, "dan@gmail.com", "Chao", "Noi dung")
    assert answer.startswith("250-2.0.0 Accepted ")
    assert "; R-MAIL-01: " in answer
    assert answer.isascii()
    assert "la hop thu cong cong" in answer


def test_a_reason_in_the_first_line_settles_it(mail: Serving) -> None:
    answer = send(mail, "dan@gmail.com", "Chao", "Lý do: công dân không có hộp thư khác\r\n\r\nNoi dung")
    assert answer.startswith("250 2.0.0 Accepted ")


def test_a_secret_is_refused_and_stored_nowhere(mail: Serving) -> None:
    answer = send(mail, CV2, "TUYỆT MẬT", "Độ mật: Tuyệt mật", " SMTPUTF8")
    assert answer.startswith("550-5.7.1 [R-CON-03] ")
    assert "bí mật nhà nước" in answer
    assert mail.inbox(CV2) == []
