# SPDX-License-Identifier: AGPL-3.0-or-later
"""Held submissions: nobody has the message before its time; it goes once, or comes back to its sender."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.clock import now_us, to_utc
from mailserver.accounts.changes import set_state
from mailserver.delivery import Incoming, Recipient
from mailserver.store import schema, submissions
from mailserver.store.submissions import Submission
from mailserver.store.verify import verify_data
from tests.conftest import Province
from tests.mailserver.queue.conftest import CV1, Carrying, Make, Peer, carrying, carrying_on_both, peer  # noqa: F401
from tests.mailserver.queue.test_courier import notice
from tests.mailserver.queue.test_crash import _COURIER
from tests.mailserver.smtp.serving import Talk
from tests.mailserver.smtp.talking import sign_in

CV2 = "cv2@vpubnd.camau.example"
AWAY = "a@elsewhere.example"


def hold(one: Carrying, seconds: float, *to: str, notify: str = "") -> None:
    account = one.mail.province.accounts.by_address(CV1)
    assert account is not None
    sent = one.mail.province.store.find_use(account.ref, "\\Sent")
    data = f"From: {CV1}\r\nSubject: sau\r\nMessage-ID: <a@b>\r\n\r\nx\r\n".encode()
    recipients = tuple(Recipient(address, notify) for address in to)
    incoming = Incoming(
        CV1,
        recipients,
        data,
        "page",
        account=account,
        reason="việc công",
        sent_copy=sent,
        not_before_us=now_us() + int(seconds * 1_000_000),
    )
    one.mail.loop.run(one.mail.delivery.deliver(incoming))


def held(one: Carrying) -> list[Submission]:
    province = one.mail.province
    account = province.accounts.by_address(CV1)
    assert account is not None
    with province.database.reading() as conn:
        return submissions.of_account(conn, province.seal, account.ref)


def make_due(province: Province) -> None:
    table = schema.submission
    province.database.write(lambda conn: conn.execute(sa.update(table).values(release_us=now_us() - 1)))


def whole(one: Carrying) -> bool:
    province = one.mail.province
    return verify_data(province.database, province.segments, province.seal).problems == []


def test_it_is_with_nobody_before_its_time_and_goes_to_all_then(carrying_on_both: Make, peer: Peer) -> None:  # noqa: F811
    one = carrying_on_both(routes={"*": f"127.0.0.1:{peer.port}"})
    one.start()
    hold(one, 3600, CV2, AWAY)
    (waiting,) = held(one)
    assert waiting.envelope.subject == "sau"
    assert one.mail.inbox(CV2) == one.mail.inbox(CV1, "Đã gửi") == peer.got == []
    assert whole(one)
    make_due(one.mail.province)
    one.mail.province.wake.publish("queue")
    one.until(lambda: peer.got and not one.rows())
    assert len(one.mail.inbox(CV2)) == len(one.mail.inbox(CV1, "Đã gửi")) == len(peer.got) == 1
    assert held(one) == []
    assert whole(one)


def test_taken_back_it_is_with_nobody_for_ever(carrying: Make) -> None:  # noqa: F811
    one = carrying()
    hold(one, 3600, CV2)
    (waiting,) = held(one)
    assert one.mail.province.database.write(lambda conn: submissions.drop(conn, waiting))
    assert not one.mail.province.database.write(lambda conn: submissions.drop(conn, waiting))
    assert one.mail.loop.run(one.mail.delivery.release(waiting_again(one, waiting))) is None
    assert one.mail.inbox(CV2) == []
    assert whole(one)


def waiting_again(one: Carrying, waiting: Submission) -> Submission:
    """The blob is gone with the row, so give the release another one to read."""
    from dataclasses import replace

    hold(one, 3600, CV1)
    (other,) = held(one)
    return replace(waiting, blob=other.blob)


def test_a_recipient_that_left_meanwhile_is_told(carrying: Make) -> None:  # noqa: F811
    one = carrying()
    hold(one, 3600, CV2, "lanhdao@vpubnd.camau.example")
    province = one.mail.province
    gone = province.accounts.by_address(CV2)
    assert gone is not None
    province.database.write(lambda conn: set_state(conn, province.seal, gone, "left", "x"))
    province.accounts.forget()
    make_due(province)
    one.start()
    one.until(lambda: one.mail.inbox("lanhdao@vpubnd.camau.example"))
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    _, groups, text = notice(told)
    assert groups[1]["Status"] == "5.1.1"
    assert CV2 in text
    assert whole(one)


def test_a_release_that_fails_tells_nobody_and_the_next_one_tells_once(
    carrying: Make,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = carrying()
    hold(one, 3600, CV2, "lanhdao@vpubnd.camau.example")
    province = one.mail.province
    gone = province.accounts.by_address(CV2)
    assert gone is not None
    province.database.write(lambda conn: set_state(conn, province.seal, gone, "left", "x"))
    province.accounts.forget()
    real, failed = submissions.take, []

    def dies_once(conn: sa.Connection, row: Submission) -> bool:
        if not failed:
            failed.append(row)
            raise RuntimeError("power cut")
        return real(conn, row)

    monkeypatch.setattr(submissions, "take", dies_once)
    make_due(province)
    one.start()
    one.until(lambda: failed and held(one)[0].release_us > now_us())
    assert one.mail.inbox(CV1) == []
    make_due(province)
    province.wake.publish("queue")
    one.until(lambda: not held(one))
    assert len(one.mail.inbox(CV1)) == 1
    assert whole(one)


def test_two_couriers_release_once(carrying_on_both: Make) -> None:  # noqa: F811
    first, second = carrying_on_both(), carrying_on_both()
    for _ in range(10):
        hold(first, 0, CV2)
    first.start()
    second.start(listening=False)
    first.until(lambda: not held(first))
    assert len(first.mail.inbox(CV2)) == 10
    assert whole(first)


@pytest.mark.parametrize("pause", [0.0, 0.4, 0.8, 1.2])
def test_killed_at_any_moment_it_is_sent_once(carrying: Make, tmp_path: Path, pause: float) -> None:  # noqa: F811
    one = carrying()
    for _ in range(30):
        hold(one, 0, CV2)
    root = Path(__file__).parents[2]
    words = [one.mail.province.database.url, str(tmp_path), "127.0.0.1:9"]
    with subprocess.Popen([sys.executable, "-c", _COURIER, *words], cwd=root) as process:
        if pause:
            one.until(lambda: len(held(one)) < 30)
            asyncio.run(asyncio.sleep(pause / 20))
        process.kill()
    assert whole(one)
    one.start()
    one.until(lambda: not held(one), 20)
    assert len(one.mail.inbox(CV2)) == len(one.mail.inbox(CV1, "Đã gửi")) == 30
    assert whole(one)


@pytest.mark.parametrize("how", ["HOLDFOR=3600", "HOLDUNTIL"])
def test_future_release_on_submission(carrying: Make, how: str) -> None:  # noqa: F811
    """RFC 4865."""
    one = carrying()
    if how == "HOLDUNTIL":
        how = f"HOLDUNTIL={to_utc(now_us() + 3_600_000_000):%Y-%m-%dT%H:%M:%SZ}"
    with Talk(one.mail.submission) as talk:
        assert "FUTURERELEASE 5184000 " in talk.ask("EHLO me")
        assert sign_in(talk).startswith("235")
        assert talk.ask(f"MAIL FROM:<{CV1}> HOLDFOR=99999999").startswith("501")
        assert talk.ask(f"MAIL FROM:<{CV1}> HOLDUNTIL=2001-01-01T00:00:00Z").startswith("501")
        assert talk.ask(f"MAIL FROM:<{CV1}> {how} HOLDFOR=1").startswith("501")
        assert talk.ask(f"MAIL FROM:<{CV1}> {how} RET=FULL ENVID=x").startswith("250")
        assert talk.ask(f"RCPT TO:<{CV2}>").startswith("250")
        assert talk.ask("DATA").startswith("354")
        talk.send(f"From: {CV1}\r\nSubject: hen\r\n\r\nx\r\n.\r\n".encode())
        assert talk.reply().startswith("250")
    (waiting,) = held(one)
    assert 3500 < (waiting.release_us - now_us()) / 1_000_000 <= 3600
    assert (waiting.envelope.ret, waiting.envelope.envelope_id) == ("FULL", "x")
    assert one.mail.inbox(CV2) == []
    with Talk(one.mail.mx) as talk:
        assert "FUTURERELEASE" not in talk.ask("EHLO me")
        assert talk.ask("MAIL FROM:<a@b.example> HOLDFOR=5").startswith("555")
