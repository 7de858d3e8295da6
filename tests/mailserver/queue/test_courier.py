# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every way a queued message can end, against real servers."""

from __future__ import annotations

import email
import email.policy
import subprocess
from email.message import EmailMessage
from typing import Any

import pytest
import sqlalchemy as sa

from config.clock import now_us
from mailserver.accounts.changes import set_state
from mailserver.delivery import Recipient
from mailserver.queue import settling
from mailserver.store import outbound, schema
from tests.mailserver.queue.conftest import CV1, Carrying, Make, Peer, serve
from tests.mailserver.smtp.serving import NAME, Talk, free_port
from tests.mailserver.smtp.talking import data, sign_in

CV2 = "cv1@sonoivu.camau.example"


def notice(data: bytes) -> tuple[EmailMessage, list[dict[str, str]], str]:
    """A notice: the message, the status groups, the text."""
    message: Any = email.message_from_bytes(data, policy=email.policy.SMTP)
    assert message["Return-Path"] == "<>"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, status, headers = message.iter_parts()
    assert headers.get_content_type() in ("text/rfc822-headers", "message/global-headers")
    groups = [dict(group.items()) for group in status.get_payload()]
    return message, groups, text.get_content()


def kinds(one: Carrying) -> list[str]:
    """Kinds of pending ledger entries."""
    from policy.ledger.schema import pending

    with one.mail.province.database.reading() as conn:
        return [row.kind for row in conn.execute(sa.select(pending.c.kind))]


def age(one: Carrying, hours: float) -> None:
    """Make all rows so old, and due."""
    table = schema.outbound
    created = now_us() - int(hours * 3_600_000_000)
    one.mail.province.database.write(
        lambda conn: conn.execute(sa.update(table).values(created_us=created, next_us=created))
    )


def test_carried_to_a_foreign_server(carrying: Make, peer: Peer) -> None:
    one = carrying(routes={"elsewhere.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("a@elsewhere.example"), Recipient("b@elsewhere.example"))
    one.until(lambda: not one.rows())
    (got,) = peer.got  # one transaction for both
    assert got.mail_from == CV1
    assert got.rcpt_tos == ["a@elsewhere.example", "b@elsewhere.example"]
    assert isinstance(got.content, bytes)
    assert got.content.startswith(b"From: ")  # our Return-Path stays at home
    assert kinds(one).count("mail.sent") == 2


def test_official_documents_are_carried_to_our_own_mx(carrying: Make) -> None:
    one = carrying()
    one.start()
    one.send(Recipient(CV2), carry_all=True)
    one.until(lambda: one.mail.inbox(CV2))
    one.until(lambda: not one.rows())
    (got,) = one.mail.inbox(CV2)
    assert got.startswith(f"Return-Path: <{CV1}>\r\nReceived: from {NAME} ([127.0.0.1])".encode())
    assert got.count(b"Return-Path:") == 1


def test_a_domain_without_a_route_is_held_and_said(carrying: Make) -> None:
    one = carrying()
    one.start()
    one.send(Recipient("a@nowhere.example"), Recipient("b@nowhere.example"))
    row = one.until(lambda: len(held := [row for row in one.rows() if row.state == "held"]) == 2 and held)[0]
    assert "Chưa có tuyến gửi đến miền nowhere.example" in row.last_answer
    assert "No route to the domain nowhere.example" in row.last_answer
    (told,) = one.mail.inbox(CV1)
    _, groups, text = notice(told)
    assert [group["Action"] for group in groups[1:]] == ["delayed", "delayed"]
    assert "CHƯA đến được" in text


def test_smarthost(carrying: Make, peer: Peer) -> None:
    one = carrying(routes={"*": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("a@x.example"), Recipient("b@y.example"))
    one.until(lambda: not one.rows())
    assert [got.rcpt_tos for got in peer.got] == [["a@x.example", "b@y.example"]]


def test_refused_for_good_comes_back_as_a_notice(carrying: Make, peer: Peer) -> None:
    peer.answers = {"gone@e.example": "550 5.1.1 No such user here"}
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(
        Recipient("gone@e.example", original="rfc822;alias@e.example"),
        Recipient("here@e.example"),
        envelope_id="id-1",
    )
    one.until(lambda: not one.rows())
    assert [got.rcpt_tos for got in peer.got] == [["here@e.example"]]
    (told,) = one.mail.inbox(CV1)
    message, groups, text = notice(told)
    assert groups[0]["Original-Envelope-Id"] == "id-1"
    assert groups[0]["Reporting-MTA"] == f"dns; {NAME}"
    assert groups[1] == groups[1] | {
        "Original-Recipient": "rfc822;alias@e.example",
        "Final-Recipient": "rfc822; gone@e.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; 127.0.0.1",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user here",
    }
    assert len(groups) == 2
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<a@b>"
    assert "KHÔNG đến được" in text
    assert "could NOT be delivered" in text
    assert {"mail.sent", "mail.failed"} <= set(kinds(one))


def test_unknown_at_our_own_mx_comes_back(carrying: Make) -> None:
    """A mailbox that goes away between acceptance and carrying."""
    one = carrying()
    one.send(Recipient(CV2), carry_all=True)
    province = one.mail.province
    gone = province.people[CV2]
    province.database.write(lambda conn: set_state(conn, province.seal, gone, "left", "test"))
    province.accounts.forget()
    one.start()
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    assert notice(told)[1][1]["Status"] == "5.1.1"


@pytest.mark.parametrize(("notify", "sender"), [("NEVER", CV1), ("SUCCESS", CV1), ("", "")])
def test_nobody_is_told_who_is_not_to_be_told(notify: str, sender: str, carrying: Make, peer: Peer) -> None:
    peer.answers = {"gone@e.example": "550 5.1.1 No"}
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("gone@e.example", notify), sender=sender)
    one.until(lambda: not one.rows())
    assert one.mail.inbox(CV1) == []
    assert "mail.failed" in kinds(one)


def test_deferred_then_sent(carrying: Make, peer: Peer) -> None:
    peer.final = ["451 4.7.1 Greylisted, try later"]
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"}, retry_minutes=[60, 120])
    one.start()
    one.send(Recipient("a@e.example"))
    (row,) = one.until(lambda: [row for row in one.rows() if row.attempts])
    assert row.last_answer == "451 4.7.1 Greylisted, try later"
    assert 59 * 60e6 < row.next_us - now_us() <= 60 * 60e6
    assert one.mail.inbox(CV1) == []  # an hour is not yet a delay worth a mail
    one.mail.province.database.write(outbound.retry)
    one.mail.province.wake.publish("queue")
    one.until(lambda: not one.rows())
    assert len(peer.got) == 1


def test_nobody_answers_delay_is_told_once_then_expiry(carrying: Make) -> None:
    one = carrying(routes={"e.example": f"127.0.0.1:{free_port()}"})
    one.send(Recipient("a@e.example"))
    age(one, 5)
    one.start()
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    groups = notice(told)[1]
    assert groups[1]["Action"] == "delayed"
    assert groups[1]["Status"] == "4.4.1"
    assert "Will-Retry-Until" in groups[1]
    (row,) = one.until(lambda: [row for row in one.rows() if row.attempts == 1])
    assert row.last_answer.startswith(settling.TOLD)
    age(one, 6)
    one.mail.province.wake.publish("queue")
    one.until(lambda: [row for row in one.rows() if row.attempts == 2])
    assert len(one.mail.inbox(CV1)) == 1
    age(one, 73)
    one.mail.province.wake.publish("queue")
    one.until(lambda: not one.rows())
    groups = notice(one.mail.inbox(CV1)[1])[1]
    assert (groups[1]["Action"], groups[1]["Status"]) == ("failed", "5.4.7")


def test_delay_is_told_at_once_when_asked(carrying: Make) -> None:
    one = carrying(routes={"e.example": f"127.0.0.1:{free_port()}"})
    one.start()
    one.send(Recipient("a@e.example", "FAILURE,DELAY"))
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    assert notice(told)[1][1]["Action"] == "delayed"


def test_success_at_our_own_mx_is_told(carrying: Make) -> None:
    one = carrying()
    one.start()
    one.send(Recipient(CV2, "SUCCESS,FAILURE"), carry_all=True)
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    groups = notice(told)[1]
    assert (groups[1]["Action"], groups[1]["Status"]) == ("delivered", "2.0.0")
    one.until(lambda: not one.rows())
    assert len(one.mail.inbox(CV2)) == 1


def test_success_at_a_server_without_dsn_is_told_as_relayed(carrying: Make, peer: Peer) -> None:
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("a@e.example", "SUCCESS"))
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    assert notice(told)[1][1]["Action"] == "relayed"


def test_tls_is_taken_when_offered(carrying: Make, tls_peer: Peer) -> None:
    one = carrying(routes={"e.example": f"127.0.0.1:{tls_peer.port}"})
    one.start()
    one.send(Recipient("a@e.example"))
    one.until(lambda: not one.rows())
    assert tls_peer.tls == [True]


def test_s37_a_route_that_demands_tls_never_falls_back(carrying: Make, tls_peer: Peer, peer: Peer) -> None:
    one = carrying(
        routes={"a.example": f"tls://127.0.0.1:{tls_peer.port}", "b.example": f"tls://127.0.0.1:{peer.port}"}
    )
    one.start()
    one.send(Recipient("x@a.example"), Recipient("x@b.example"))
    rows = one.until(lambda: (rows := one.rows()) and all(row.attempts for row in rows) and rows)
    assert len(rows) == 2
    assert any("certificate" in row.last_answer.lower() for row in rows)
    assert any("offers no TLS" in row.last_answer for row in rows)
    assert peer.got == tls_peer.got == []


def test_crash_while_carrying_loses_nothing(carrying: Make, peer: Peer) -> None:
    """A process that died holding the lease: after it ran out the row is carried, once."""
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.send(Recipient("a@e.example"))
    province = one.mail.province
    (dead,) = province.database.write(lambda conn: outbound.lease_due(conn, province.seal, 10, 0.5))
    one.start()
    assert one.rows()[0].row == dead.row
    one.until(lambda: not one.rows())
    assert len(peer.got) == 1


def test_a_notice_that_is_not_committed_with_its_row_does_not_come_twice(
    carrying: Make, peer: Peer, monkeypatch: Any
) -> None:
    peer.answers = {"gone@e.example": "550 5.1.1 No"}
    one = carrying(lease_s=0.5, routes={"e.example": f"127.0.0.1:{peer.port}"})
    real, failed = settling.outbound.finish, []

    def dies_once(conn: sa.Connection, row: outbound.Outbound) -> None:
        if not failed:
            failed.append(row)
            raise RuntimeError("power cut")
        real(conn, row)

    monkeypatch.setattr(settling.outbound, "finish", dies_once)
    one.start()
    one.send(Recipient("gone@e.example"))
    one.until(lambda: not one.rows())
    assert len(one.mail.inbox(CV1)) == 1


def test_stopping_in_the_middle_keeps_the_row(carrying: Make, peer: Peer) -> None:
    peer.slow = 1.0
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("a@e.example"))
    one.until(lambda: one.courier._in_flight)
    one.stop()
    (row,) = one.rows()
    assert row.state == "waiting"
    with one.mail.province.database.reading() as conn:
        assert outbound.next_due_us(conn) == row.next_us  # not leased any more
    peer.slow = 0
    one.start()
    one.until(lambda: not one.rows())


def test_leases_are_renewed_while_a_server_is_slow(carrying: Make, peer: Peer) -> None:
    peer.slow = 1.2
    one = carrying(lease_s=0.4, routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("a@e.example"))
    one.until(lambda: not one.rows())
    assert len(peer.got) == 1


def test_a_sender_who_is_gone_is_replaced_by_the_postmaster(carrying: Make, peer: Peer) -> None:
    peer.answers = {"gone@e.example": "550 5.1.1 No"}
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("gone@e.example"), sender="left@vpubnd.camau.example")
    one.until(lambda: not one.rows())
    assert len(one.mail.inbox(one.mail.province.home.registry_address)) == 1


def test_notices_go_to_senders_elsewhere_and_never_loop(carrying: Make, peer: Peer) -> None:
    """S34: a notice that cannot be delivered makes no further one."""
    peer.answers = {"gone@e.example": "550 5.1.1 No", "back@e.example": "550 5.1.1 No either"}
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("gone@e.example"), sender="back@e.example")
    one.until(lambda: kinds(one).count("mail.failed") == 2)
    assert one.rows() == []


def test_bare_line_ends_and_dots_leave_repaired(carrying: Make, peer: Peer) -> None:
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    one.send(Recipient("a@e.example"), data=b"Subject: a\n\n.\r\n.\rx\n.\nMAIL FROM:<evil@x>\n")
    one.until(lambda: not one.rows())
    (got,) = peer.got
    assert got.content == b"Subject: a\r\n\r\n.\r\n.\r\nx\r\n.\r\nMAIL FROM:<evil@x>\r\n"


def test_too_large_for_the_other_side(carrying: Make) -> None:
    with serve(Peer(), data_size_limit=1000) as small:
        one = carrying(routes={"e.example": f"127.0.0.1:{small.port}"})
        one.start()
        one.send(Recipient("a@e.example"), data=b"Subject: big\r\n\r\n" + b"x" * 3000 + b"\r\n")
        (told,) = one.until(lambda: one.mail.inbox(CV1))
        assert notice(told)[1][1]["Status"] == "5.3.4"


def test_many_messages_share_connections(carrying: Make, peer: Peer) -> None:
    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    for number in range(60):
        one.send(Recipient(f"a{number}@e.example"), data=f"Subject: {number}\r\n\r\nx\r\n".encode())
    one.start()
    one.until(lambda: not one.rows())
    assert len(peer.got) == 60


def test_s1_swaks_to_peer_through_submission(carrying: Make, peer: Peer) -> None:
    """A foreign client in front, a foreign server behind."""
    from tests.conftest import PASSWORD

    one = carrying(routes={"e.example": f"127.0.0.1:{peer.port}"})
    one.start()
    host, port = one.mail.submission
    done = subprocess.run(
        f"swaks --server {host} --port {port} --auth LOGIN --auth-user {CV1} --auth-password {PASSWORD} --from {CV1}"
        f" --to a@e.example,{CV2} --pipeline --header Subject:Công+văn --body Kính+gửi".split(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    one.until(lambda: peer.got)
    assert len(one.mail.inbox(CV2)) == 1


def test_success_is_told_for_mail_that_came_by_submission(carrying: Make) -> None:
    one = carrying()
    one.start()
    with Talk(one.mail.submission) as talk:
        assert sign_in(talk).startswith("235")
        assert talk.ask(f"MAIL FROM:<{CV1}> RET=HDRS ENVID=so+2B1").startswith("250")
        assert talk.ask(f"RCPT TO:<{CV2}> NOTIFY=SUCCESS ORCPT=rfc822;{CV2}").startswith("250")
        assert data(talk, f"From: {CV1}\r\nSubject: s\r\n\r\nx\r\n.\r\n".encode()).startswith("250")
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    groups = notice(told)[1]
    assert groups[0]["Original-Envelope-Id"] == "so+1"
    assert groups[1]["Original-Recipient"] == f"rfc822;{CV2}"
    assert groups[1]["Action"] == "delivered"
    assert len(one.mail.inbox(CV2)) == 1


def test_strangers_can_not_fill_the_queue_with_notices(carrying: Make) -> None:
    one = carrying()
    one.start()
    with Talk(one.mail.mx) as talk:
        talk.all("EHLO x", "MAIL FROM:<forged@victim.example>", f"RCPT TO:<{CV1}> NOTIFY=SUCCESS")
        assert data(talk, b"Subject: s\r\n\r\nx\r\n.\r\n").startswith("250")
    one.until(lambda: one.mail.inbox(CV1))
    one.until(lambda: not one.rows())
    one.until(lambda: "mail.failed" in kinds(one))
