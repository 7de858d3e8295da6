# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who may not write to a group or list hears it at RCPT, with the reason, as does who writes to an empty one; the other
recipients go on."""

from __future__ import annotations

from typing import Any

import pytest

from mailserver.accounts import shared
from mailserver.accounts.changes import NewAccount, add_account
from mailserver.accounts.shared import Rule, SharedAddress
from tests.mailserver.smtp.serving import Serving, Talk
from tests.mailserver.smtp.talking import CV1, CV2, data, sign_in

HOME = "vpubnd.camau.example"
GROUP, LEADERS, OPEN = f"nhom@{HOME}", f"lanhdao-tinh@{HOME}", f"tiep-dan@{HOME}"
LEADER, OTHER = f"lanhdao@{HOME}", "cv1@sonoivu.camau.example"
LETTER = b"From: %s\r\nSubject: x\r\n\r\nx\r\n.\r\n"


@pytest.fixture
def lists(mail: Serving) -> Serving:
    def put(address: str, **more: Any) -> None:
        province = mail.province
        new = SharedAddress(address, "x", agency=0, **more)
        province.database.write(lambda conn: shared.put(conn, province.seal, province.accounts, new, "test"))
        province.accounts.forget()

    put(GROUP, kind="group", members=(CV1, CV2), writers="agency")
    put(LEADERS, kind="list", rule=Rule(roles=("leader",)), writers="members")
    put(OPEN, kind="alias", members=(CV2,))
    return mail


def test_mail_from_outside_is_refused_at_rcpt_and_the_rest_goes_on(lists: Serving) -> None:
    with Talk(lists.mx) as talk:
        talk.all("EHLO p.example", "MAIL FROM:<ai@elsewhere.example>")
        for address in (GROUP, LEADERS):
            answer = talk.ask(f"RCPT TO:<{address}>")
            assert answer.startswith("550-5.7.2 ")
            assert address in answer
            assert "who have signed in" in answer
            assert "da dang nhap" in answer
        assert talk.ask("DATA").startswith("503")
        assert talk.ask(f"RCPT TO:<{OPEN}>").startswith("250")
        assert data(talk, LETTER % b"ai@elsewhere.example").startswith("250")
    assert len(lists.inbox(CV2)) == 1


@pytest.mark.parametrize(
    ("who", "taken", "refused"),
    [(CV1, [GROUP, OPEN], [LEADERS]), (LEADER, [GROUP, LEADERS], []), (OTHER, [OPEN], [GROUP, LEADERS])],
)
def test_who_signed_in_counts(lists: Serving, who: str, taken: list[str], refused: list[str]) -> None:
    with Talk(lists.submission) as talk:
        assert sign_in(talk, who).startswith("235")
        talk.ask(f"MAIL FROM:<{who}>")
        assert all(talk.ask(f"RCPT TO:<{one}>").startswith("250") for one in taken)
        assert all(talk.ask(f"RCPT TO:<{one}>").startswith("550-5.7.2") for one in refused)
        assert data(talk, LETTER % who.encode()).startswith("250")


def test_an_empty_list_is_refused_at_rcpt_until_it_has_somebody(lists: Serving) -> None:
    province, nobody = lists.province, f"phong-moi@{HOME}"
    rule = SharedAddress(nobody, "x", agency=0, kind="list", rule=Rule(title="phòng mới"), writers="anyone")
    province.database.write(lambda conn: shared.put(conn, province.seal, province.accounts, rule, "test"))
    province.accounts.forget()
    for where in (lists.mx, lists.submission):
        with Talk(where) as talk:
            talk.ask("EHLO p.example")
            if where == lists.submission:
                sign_in(talk, CV1)
            talk.ask(f"MAIL FROM:<{CV1 if where == lists.submission else 'ai@elsewhere.example'}>")
            answer = talk.ask(f"RCPT TO:<{nobody}>")
            assert answer.startswith("550-5.2.4 ")
            assert f"{nobody} stands for nobody now" in answer
            assert "hien khong co ai nhan" in answer
            assert talk.ask(f"RCPT TO:<{OPEN}>").startswith("250")

    new = NewAccount(f"moi@{HOME}", "Mới", "Phòng mới", "clerk")
    province.database.write(lambda conn: add_account(conn, province.seal, province.home, new))
    province.accounts.forget()
    with Talk(lists.mx) as talk:
        talk.all("EHLO p.example", "MAIL FROM:<ai@elsewhere.example>")
        assert talk.ask(f"RCPT TO:<{nobody}>").startswith("250")
