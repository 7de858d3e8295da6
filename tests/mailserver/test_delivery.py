# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one door: who may send what to whom, what the rules stop, and letters to many mailboxes."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from config.refusal import Refused
from mailserver.accounts import passwords
from mailserver.accounts.changes import NewAccount, add_account
from mailserver.delivery import Delivery, Incoming, Recipient
from mailserver.store import Ref, schema
from mailserver.store.verify import verify_data
from policy.ledger.schema import pending
from policy.rulebook import load
from tests.conftest import Province

OUTSIDE = "nguoidan@ngoai.example"
MANY = 450


def door(province: Province) -> Delivery:
    return Delivery(province.store, province.accounts, load(), 1024 * 1024)


def letter(sender: str, text: str = "Nội dung", subject: str = "Thư") -> bytes:
    head = f"From: {sender}\r\nTo: x@y.example\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}\r\n{text}\r\n".encode()


def inbox(province: Province, address: str) -> Ref:
    who = province.accounts.by_address(address)
    assert who is not None
    found = province.store.find(who.ref, "INBOX")
    assert found is not None
    return found


def kinds(province: Province) -> list[str]:
    with province.database.reading() as conn:
        return [row.kind for row in conn.execute(sa.select(pending.c.kind).order_by(pending.c.id))]


def whole(province: Province) -> bool:
    return verify_data(province.database, province.segments, province.seal).problems == []


def test_one_transaction_for_every_recipient(province: Province) -> None:
    home, other = province.home.domain, province.other.domain
    receivers = (f"cv1@{home}", f"CV1@{home.upper()}", f"cv2@{other}", f"vt1@{other}")
    outcome = asyncio.run(
        door(province).deliver(
            Incoming(OUTSIDE, tuple(Recipient(one) for one in receivers), letter(OUTSIDE), "mx")
        )
    )
    assert len(outcome.local) == 3
    assert outcome.queued == 0
    assert kinds(province)[-1] == "mail.accepted"
    with province.database.reading() as conn:
        assert [row.refs for row in conn.execute(sa.select(schema.blob.c.refs))] == [3]
    assert whole(province)


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("khongco@vpubnd.camau.example", "no-such-recipient"),
        ("ai@ngoai.example", "relay-denied"),
        ("x", "bad-address"),
    ],
)
def test_the_mx_takes_only_mail_for_our_people(province: Province, recipient: str, code: str) -> None:
    before = kinds(province)
    with pytest.raises(Refused) as refused:
        asyncio.run(door(province).deliver(Incoming(OUTSIDE, (Recipient(recipient),), letter(OUTSIDE), "mx")))
    assert refused.value.code == code
    assert kinds(province) == before


def test_a_sender_owns_its_from(province: Province) -> None:
    me = province.people[f"cv1@{province.home.domain}"]
    clerk = province.people[f"vt1@{province.home.domain}"]
    to = (Recipient(f"cv2@{province.other.domain}"),)
    for account, sender in ((me, f"cv2@{province.home.domain}"), (me, province.home.registry_address)):
        with pytest.raises(Refused) as refused:
            asyncio.run(
                door(province).deliver(Incoming(sender, to, letter(sender), "submission", account=account))
            )
        assert refused.value.code == "not-your-address"
    registry = province.home.registry_address
    outcome = asyncio.run(
        door(province).deliver(Incoming(registry, to, letter(registry), "submission", account=clerk))
    )
    assert len(outcome.local) == 1


def test_a_secret_from_here_is_refused_and_nothing_of_it_is_kept(province: Province) -> None:
    me = province.people[f"cv1@{province.home.domain}"]
    to = (Recipient(f"cv2@{province.other.domain}"),)
    with pytest.raises(Refused) as refused:
        asyncio.run(
            door(province).deliver(
                Incoming(me.address, to, letter(me.address, "MẬT\r\nnội dung"), "submission", account=me)
            )
        )
    assert refused.value.rule == "R-CON-03"
    with province.database.reading() as conn:
        assert conn.execute(sa.select(schema.blob.c.blob)).all() == []
    assert kinds(province)[-1] == "mail.refused"


def test_a_secret_from_outside_goes_into_the_security_officers_quarantine(province: Province) -> None:
    officer = province.database.write(
        lambda conn: add_account(
            conn,
            province.seal,
            province.home,
            NewAccount(f"quantri@{province.home.domain}", "Quản trị", "Quản trị", "system-officer"),
        )
    )
    province.accounts.forget()
    reader = f"cv1@{province.home.domain}"
    outcome = asyncio.run(
        door(province).deliver(
            Incoming(OUTSIDE, (Recipient(reader),), letter(OUTSIDE, "TỐI MẬT\r\nnội dung"), "mx")
        )
    )
    assert outcome.quarantined
    assert province.store.uid_map(inbox(province, reader)) == []
    names = [one.name for one in province.store.mailboxes(officer.ref) if one.exists]
    assert names == ["Cách ly"]
    assert kinds(province)[-1] == "mail.quarantined"


def test_a_letter_too_large_is_refused(province: Province) -> None:
    with pytest.raises(Refused) as refused:
        asyncio.run(
            door(province).deliver(
                Incoming(OUTSIDE, (Recipient(f"cv1@{province.home.domain}"),), bytes(1024 * 1024 + 1), "mx")
            )
        )
    assert refused.value.code == "message-too-large"


def crowd(province: Province) -> tuple[Recipient, ...]:
    kept = ((passwords.APP, passwords.keep(passwords.APP, "x")),)

    def job(conn: sa.Connection) -> list[str]:
        found = []
        for number in range(MANY):
            address = f"dong{number}@{province.other.domain}"
            add_account(
                conn, province.seal, province.other, NewAccount(address, "x", "x", "civil-servant", kept)
            )
            found.append(address)
        return found

    addresses = province.database.write(job)
    province.accounts.forget()
    return tuple(Recipient(one) for one in addresses)


def test_a_letter_to_many_is_one_blob_and_reaches_everybody_also_after_a_crash(province: Province) -> None:
    receivers = crowd(province)

    async def walk() -> None:
        first = door(province)
        outcome = await first.deliver(Incoming(OUTSIDE, receivers, letter(OUTSIDE), "mx"))
        assert outcome.spread == MANY
        assert first._spreading is not None
        first._spreading.cancel()  # the process ends while it spreads
        await asyncio.gather(first._spreading, return_exceptions=True)
        assert whole(province)
        await door(province).spread_all()

    asyncio.run(walk())
    for one in (receivers[0], receivers[MANY // 2], receivers[-1]):
        assert len(province.store.uid_map(inbox(province, one.address))) == 1
    with province.database.reading() as conn:
        assert [row.refs for row in conn.execute(sa.select(schema.blob.c.refs))] == [MANY]
        assert conn.execute(sa.select(schema.spread.c.spread)).all() == []
    assert whole(province)
