# SPDX-License-Identifier: AGPL-3.0-or-later
"""Filters at the door: what scripts want is done in the one transaction, answers go once, nothing is lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from config.clock import now_us, today_local
from config.settings import Filters
from mailserver.delivery import Delivery, Incoming, Outcome, Recipient
from mailserver.sieve import scripts
from mailserver.sieve.schema import answered, script
from mailserver.sieve.writing import Away, Condition, Rule, read, written
from mailserver.store import Ref, outbound, schema
from mailserver.store.outbound import Outbound
from mailserver.store.verify import verify_data
from policy.rulebook import load
from tests.conftest import Province

OUTSIDE = "nguoidan@ngoai.example"
CV1 = "cv1@vpubnd.camau.example"
CV2 = "cv2@vpubnd.camau.example"
REGISTRY = "vanthu@vpubnd.camau.example"


class House:
    """A province with a door."""

    def __init__(self, province: Province, filters: Filters | None = None) -> None:
        self.province = province
        self.door = Delivery(province.store, province.accounts, load(), 1024 * 1024, filters=filters)

    def script(self, address: str, text: str, name: str = "a") -> None:
        who = self.province.accounts.by_address(address)
        assert who is not None
        seal = self.province.seal
        self.province.database.write(
            lambda conn: scripts.put(conn, seal, who.ref, name, text, active=True, by=address)
        )
        self.door._filter._scripts._at = float("-inf")

    def send(
        self, *to: str, sender: str = OUTSIDE, subject: str = "Thư", head: str = "", text: str = "x"
    ) -> Outcome:
        first = f"From: {sender or OUTSIDE}\r\nTo: {', '.join(to)}\r\nSubject: {subject}\r\n{head}"
        data = f"{first}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
        incoming = Incoming(sender, tuple(Recipient(one) for one in to), data, "mx")
        return asyncio.run(self.door.deliver(incoming))

    def box(self, address: str, name: str = "INBOX") -> list[bytes]:
        who = self.province.accounts.by_address(address)
        assert who is not None
        ref = self.province.store.find(who.ref, name)
        return [] if ref is None else [self.province.store.content(row.blob) for row in self.rows(ref)]

    def rows(self, ref: Ref) -> list[object]:
        return list(self.province.store.uid_map(ref))

    def queue(self) -> list[Outbound]:
        with self.province.database.reading() as conn:
            return outbound.listed(conn, self.province.seal)

    def whole(self) -> bool:
        one = self.province
        return verify_data(one.database, one.segments, one.seal).problems == []


def test_scripts_file_flag_and_discard_in_the_one_transaction(province: Province) -> None:
    house = House(province)
    house.script(
        CV1,
        'require ["fileinto","mailbox","imap4flags"]; if header :contains "subject" "báo cáo"'
        ' { fileinto :create :flags ["\\\\Flagged","$Work"] "Báo cáo"; } elsif header :is "subject" "x" { discard; }',
    )
    house.send(CV1, CV2, subject="Báo cáo tuần".lower())
    house.send(CV1, subject="x")
    house.send(CV1, subject="khác")
    assert len(house.box(CV1)) == 1
    assert len(house.box(CV1, "Báo cáo")) == 1
    assert len(house.box(CV2)) == 1
    (row,) = house.rows(_ref(province, CV1, "Báo cáo"))
    assert row.flags & 4  # type: ignore[attr-defined]
    with province.database.reading() as conn:
        assert sorted(row.refs for row in conn.execute(sa.select(schema.blob.c.refs))) == [1, 2]
        stored = conn.execute(sa.select(script.c.sealed)).scalar_one()
    assert b"fileinto" not in stored  # sealed at rest
    assert house.whole()


def test_a_folder_that_is_not_there_means_the_inbox(province: Province) -> None:
    house = House(province)
    house.script(CV1, 'require "fileinto"; fileinto "Không có";')
    house.send(CV1)
    assert len(house.box(CV1)) == 1


def test_redirections_stay_inside_and_do_not_loop(province: Province) -> None:
    house = House(province)
    house.script(CV1, f'redirect "{CV2}";')
    house.send(CV1)
    (row,) = house.queue()
    assert (row.recipient, row.redirected_by, row.sender) == (CV2, CV1, OUTSIDE)
    assert house.box(CV1) == []
    house.send(CV1, head=f"Delivered-To: {CV1}\r\n")  # it comes back
    assert len(house.queue()) == 1
    assert len(house.box(CV1)) == 1
    house.script(CV1, 'redirect "ai@ngoai.example";')
    house.send(CV1)
    assert len(house.queue()) == 1  # outside only by setting
    assert len(house.box(CV1)) == 2
    open_house = House(province, Filters(redirect_outside=True))
    open_house.send(CV1)
    assert len(open_house.queue()) == 2
    assert house.whole()


def away(text: str = "Tôi đi công tác.") -> str:
    today = today_local()
    return written([], Away(today - timedelta(days=1), today + timedelta(days=1), "Vắng mặt", text))


def test_vacation_answers_once_and_only_people(province: Province) -> None:
    house = House(province)
    house.script(CV1, away())
    house.send(CV1)
    house.send(CV1)
    (row,) = house.queue()
    assert (row.sender, row.recipient, row.notify) == ("", OUTSIDE, "NEVER")
    answer = province.store.content(row.blob)
    assert b"Auto-Submitted: auto-replied" in answer
    assert "Tôi đi công tác.".encode() in answer
    for head in (
        "Auto-Submitted: auto-generated\r\n",
        "List-Id: <x.y>\r\n",
        "Precedence: bulk\r\n",
        "X-Auto-Response-Suppress: All\r\n",
    ):
        house.send(CV1, sender="khac@ngoai.example", head=head)
    for sender in ("", "mailer-daemon@ngoai.example", "no-reply@ngoai.example", "owner-x@ngoai.example"):
        house.send(CV1, sender=sender)
    assert len(house.queue()) == 1
    assert len(house.box(CV1)) == 10  # all of them arrived all the same
    assert house.whole()


def test_vacation_is_not_for_mail_that_does_not_name_one(province: Province) -> None:
    house = House(province)
    house.script(CV1, away())
    data = f"From: {OUTSIDE}\r\nTo: list@ngoai.example\r\nSubject: x\r\n\r\n".encode()
    asyncio.run(house.door.deliver(Incoming(OUTSIDE, (Recipient(CV1),), data, "mx")))
    assert house.queue() == []


def test_two_absent_colleagues_do_not_answer_each_other_for_ever(province: Province) -> None:
    """S34: nobody answers an answer."""
    house = House(province)
    house.script(CV1, away())
    house.script(CV2, away())
    house.send(CV1, sender=CV2)
    assert len(house.box(CV1)) == 1
    assert len(house.box(CV2)) == 1  # the answer; nobody answered it
    assert house.queue() == []


def test_vacation_outside_its_dates_is_silent(province: Province) -> None:
    house = House(province)
    today = today_local()
    house.script(CV1, written([], Away(today - timedelta(days=5), today - timedelta(days=1), "x", "y")))
    house.send(CV1)
    assert house.queue() == []


def test_rejection_tells_the_sender_or_keeps(province: Province) -> None:
    house = House(province)
    house.script(CV1, 'require "reject"; reject "Không nhận thư quảng cáo.";')
    house.send(CV1)
    (row,) = house.queue()
    assert "Không nhận thư quảng cáo.".encode() in province.store.content(row.blob)
    assert house.box(CV1) == []
    house.send(CV1, sender="")
    assert len(house.box(CV1)) == 1
    assert house.whole()


def test_a_citizen_gets_one_receipt_a_day_from_a_registry(province: Province) -> None:
    house = House(province)
    house.send(REGISTRY, subject="Xin hỏi")
    house.send(REGISTRY)
    (row,) = house.queue()
    answer = province.store.content(row.blob)
    assert b"Auto-Submitted: auto-replied" in answer
    assert b"From: " in answer
    assert REGISTRY.encode() in answer
    house.send(REGISTRY, sender=CV1)  # our own people get none
    house.send(REGISTRY, sender="b@ngoai.example", head="List-Id: <a.b>\r\n")
    assert len(house.queue()) == 1
    province.database.write(lambda conn: conn.execute(sa.update(answered).values(until_us=now_us() - 1)))
    house.send(REGISTRY)
    assert len(house.queue()) == 2
    assert len(house.box(REGISTRY)) == 5
    few = House(province, Filters(receipts_at_most=1))
    few.send(REGISTRY, sender="c@ngoai.example")
    assert len(few.queue()) == 2
    assert House(province, Filters(receipt_hours=0)).send(REGISTRY, sender="d@ngoai.example").local
    assert len(few.queue()) == 2
    assert house.whole()


def test_the_pages_rules_are_read_back_and_do_what_they_say(province: Province) -> None:
    rule = Rule(
        'a"; discard; #', (Condition("subject", 'x"; redirect "b@c.d'), Condition("from", "ngoai")), "Mới"
    )
    text = written([rule])
    assert read(text) == ([rule], None)
    assert read("keep;") is None
    house = House(province)
    house.script(CV1, text)
    house.send(CV1, subject='một X"; redirect "b@c.d hai')
    assert len(house.box(CV1, "Mới")) == 1
    assert house.queue() == []


def test_a_script_that_breaks_keeps_the_letter(province: Province) -> None:
    house = House(province)
    house.script(CV1, 'redirect "không phải địa chỉ";')
    house.send(CV1)
    assert len(house.box(CV1)) == 1


@pytest.mark.parametrize("name", ["", "x" * 200, "a\nb"])
def test_names_of_scripts(small_province: Province, name: str) -> None:
    from config.refusal import Refused

    with pytest.raises(Refused):
        House(small_province).script(CV1, "keep;", name)


def _ref(province: Province, address: str, name: str) -> Ref:
    who = province.accounts.by_address(address)
    assert who is not None
    found = province.store.find(who.ref, name)
    assert found is not None
    return found
