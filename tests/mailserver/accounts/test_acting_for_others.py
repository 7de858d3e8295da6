# SPDX-License-Identifier: AGPL-3.0-or-later
"""Aliases, groups, lists by rule; who may write to them; deputies, sending as and on behalf."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused
from mailserver.accounts import delegations, schema, shared
from mailserver.accounts.shared import Rule, SharedAddress
from mailserver.delivery import Delivery, Incoming, Outcome, Recipient, own_addresses
from mailserver.imap.naming import Names, registry_of_clerk
from policy.ledger.schema import pending
from policy.rulebook import load
from tests.conftest import Province

HOUR = 3_600_000_000
CV1, CV2, CLERK = "cv1@vpubnd.camau.example", "cv2@vpubnd.camau.example", "vt1@vpubnd.camau.example"
LEADER, OTHER = "lanhdao@vpubnd.camau.example", "lanhdao@sonoivu.camau.example"
REGISTRY = "vanthu@vpubnd.camau.example"
OUTSIDE = "ai@ngoai.example"


def share(province: Province, address: str, **more: object) -> None:
    new = SharedAddress(address, "x", agency=0, **more)  # type: ignore[arg-type]
    province.database.write(lambda conn: shared.put(conn, province.seal, province.accounts, new, "test"))
    province.accounts.forget()


def lend(province: Province, owner: str, deputy: str, **more: object) -> int:
    people = {"owner": province.accounts.by_address(owner), "deputy": province.accounts.by_address(deputy)}
    given = {"reads": False, "sends": "", "from_us": now_us() - HOUR, "until_us": now_us() + HOUR} | more
    number = province.database.write(
        lambda conn: delegations.add(conn, province.seal, people["owner"], people["deputy"], "test", **given)  # type: ignore[arg-type]
    )
    province.accounts.forget()
    return number


def send(province: Province, *to: str, by: str = OUTSIDE, sender: str = "", head: str = "") -> Outcome:
    door = Delivery(province.store, province.accounts, load(), 10**6)
    account = province.accounts.by_address(by)
    sender = sender or by
    data = f"From: {sender}\r\nTo: {to[0]}\r\n{head}Subject: x\r\n\r\nx\r\n".encode()
    kind = "submission" if account is not None else "mx"
    recipients = tuple(Recipient(one) for one in to)
    return asyncio.run(door.deliver(Incoming(sender, recipients, data, kind, account=account)))  # type: ignore[arg-type]


def count(province: Province, address: str, name: str = "INBOX") -> int:
    who = province.accounts.by_address(address)
    assert who is not None
    found = province.store.find(who.ref, name)
    return 0 if found is None else len(province.store.uid_map(found))


def test_an_alias_a_group_in_a_group_and_everybody_once(province: Province) -> None:
    share(province, "tiep-dan@vpubnd.camau.example", kind="alias", members=(CV1,))
    share(province, "phong1@vpubnd.camau.example", kind="group", members=(CV1, CV2))
    share(
        province,
        "tat-ca@vpubnd.camau.example",
        kind="group",
        members=("phong1@vpubnd.camau.example", OTHER, CV2),
    )
    outcome = send(province, "tat-ca@vpubnd.camau.example", "tiep-dan@vpubnd.camau.example", CV1)
    assert len(outcome.local) == 3
    assert [count(province, one) for one in (CV1, CV2, OTHER)] == [1, 1, 1]
    with province.database.reading() as conn:
        sealed = conn.execute(sa.select(schema.shared_address.c.sealed)).scalars().all()
    assert not any(b"cv1" in one for one in sealed)


def test_groups_in_a_circle_end(province: Province) -> None:
    share(province, "a@vpubnd.camau.example", kind="group", members=(CV1,))
    share(province, "b@vpubnd.camau.example", kind="group", members=("a@vpubnd.camau.example",))
    share(province, "a@vpubnd.camau.example", kind="group", members=("b@vpubnd.camau.example", CV2))
    assert len(send(province, "a@vpubnd.camau.example").local) == 1


def test_a_list_by_rule_is_who_the_directory_has_now(province: Province) -> None:
    address = "lanhdao-cap2@vpubnd.camau.example"
    share(province, address, kind="list", rule=Rule(levels=(2,), roles=("leader",)))
    assert len(send(province, address).local) == 2
    province.database.write(
        lambda conn: conn.execute(
            sa.update(schema.agency).where(schema.agency.c.code == "H12.02").values(level=3)
        )
    )
    province.database.write(lambda conn: schema.next_number(conn, 0, "directory"))
    province.accounts.forget()
    assert len(send(province, address).local) == 1
    share(province, address, kind="list", rule=Rule(agencies=("H12.02",), title="CIVIL"))
    assert len(send(province, address).local) == 2
    share(province, address, kind="list", rule=Rule(title="không ai"))
    with pytest.raises(Refused, match="list-empty"):
        send(province, address)


@pytest.mark.parametrize(
    ("writers", "may", "may_not"),
    [
        ("anyone", (OUTSIDE, OTHER, CV1), ()),
        ("inside", (OTHER, CV1), (OUTSIDE,)),
        ("agency", (CV1, CV2), (OUTSIDE, OTHER)),
        ("members", (CV1, LEADER), (OUTSIDE, CV2, OTHER)),
        ("named", (LEADER,), (OUTSIDE, CV1, OTHER)),
    ],
)
def test_who_may_write(
    province: Province, writers: str, may: tuple[str, ...], may_not: tuple[str, ...]
) -> None:
    address = "nhom@vpubnd.camau.example"
    share(province, address, kind="group", members=(CV1,), writers=writers, named=(LEADER,))
    for one in may:
        assert send(province, address, by=one).local
    for one in may_not:
        with pytest.raises(Refused, match="may-not-write"):
            send(province, address, by=one)


@pytest.mark.parametrize(
    ("address", "more"),
    [
        (CV1, {"kind": "group", "members": (CV2,)}),
        ("x@ngoai.example", {"kind": "group", "members": (CV2,)}),
        ("x@vpubnd.camau.example", {"kind": "group", "members": (OUTSIDE,)}),
        ("x@vpubnd.camau.example", {"kind": "alias", "members": (CV1, CV2)}),
        ("x@vpubnd.camau.example", {"kind": "list", "rule": Rule(roles=("king",))}),
        ("x@vpubnd.camau.example", {"kind": "nothing"}),
    ],
)
def test_what_can_not_be_a_shared_address(
    small_province: Province, address: str, more: dict[str, object]
) -> None:
    with pytest.raises(Refused):
        share(small_province, address, **more)


def test_the_registry_writes_and_its_copy_stays_with_it_and_the_ledger_knows_who(province: Province) -> None:
    send(province, OTHER, by=CLERK, sender=REGISTRY)
    assert count(province, REGISTRY, "Đã gửi") == 1
    assert count(province, CLERK, "Đã gửi") == 0
    with province.database.reading() as conn:
        kinds = conn.execute(sa.select(pending.c.kind).order_by(pending.c.id)).scalars().all()
    assert kinds[-1] == "mail.accepted"


def test_sending_as_and_on_behalf_only_while_it_holds(province: Province) -> None:
    leader = province.people[CV1]
    with pytest.raises(Refused, match="not-your-address"):
        send(province, OTHER, by=CV1, sender=LEADER)
    number = lend(province, LEADER, CV1, sends="behalf")
    assert own_addresses(province.accounts, leader) == [CV1, LEADER]
    with pytest.raises(Refused, match="sender-missing"):
        send(province, OTHER, by=CV1, sender=LEADER)
    with pytest.raises(Refused, match="not-your-address"):
        send(province, OTHER, by=CV1, sender=LEADER, head=f"Sender: {CV2}\r\n")
    send(province, OTHER, by=CV1, sender=LEADER, head=f"Sender: {CV1}\r\n")
    assert count(province, LEADER, "Đã gửi") == 1
    owner = province.people[LEADER]
    province.database.write(lambda conn: delegations.remove(conn, province.seal, owner, number, "x"))
    province.accounts.forget()
    with pytest.raises(Refused, match="not-your-address"):
        send(province, OTHER, by=CV1, sender=LEADER, head=f"Sender: {CV1}\r\n")
    lend(province, LEADER, CV1, sends="as", from_us=now_us() + HOUR, until_us=now_us() + 2 * HOUR)
    assert own_addresses(province.accounts, leader) == [CV1]


def test_a_shared_address_lends_its_name(province: Province) -> None:
    address = "bao-chi@vpubnd.camau.example"
    share(province, address, kind="group", members=(CV1, CV2), send_as=(CV2,))
    assert send(province, OTHER, by=CV2, sender=address).local
    with pytest.raises(Refused, match="not-your-address"):
        send(province, OTHER, by=CV1, sender=address)


def test_a_deputy_sees_the_mailbox_during_the_dates_only(province: Province) -> None:
    deputy = province.people[CV2]

    def names() -> list[str]:
        space = Names(province.store, province.accounts, deputy, registry_of_clerk(province.accounts))
        return [one.name for one in space.all() if LEADER in one.name]

    assert names() == []
    number = lend(province, LEADER, CV2, reads=True)
    assert any("INBOX" in one or one.endswith(LEADER) for one in names())
    table = schema.delegation
    past = {"from_us": now_us() - 2 * HOUR, "until_us": now_us() - HOUR}
    province.database.write(lambda conn: conn.execute(sa.update(table).values(**past)))
    province.database.write(lambda conn: schema.next_number(conn, 0, "directory"))
    province.accounts.forget()
    assert names() == []
    assert number > 0


@pytest.mark.parametrize(
    "more",
    [
        {"reads": True, "until_us": None},
        {},
        {"sends": "king"},
        {"reads": True, "until_us": now_us() - HOUR},
    ],
)
def test_delegations_that_can_not_be(small_province: Province, more: dict[str, object]) -> None:
    with pytest.raises(Refused):
        lend(small_province, LEADER, CV2, **more)
    with pytest.raises(Refused):
        lend(small_province, LEADER, LEADER, reads=True)
    with pytest.raises(Refused):
        lend(small_province, LEADER, REGISTRY, reads=True)
