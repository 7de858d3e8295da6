# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the courier does for mail that leaves: signatures of our domains, servers found in the DNS."""

from __future__ import annotations

import asyncio

import pytest

from config.refusal import Refused
from mailserver.accounts.changes import NewAccount, NewAgency, add_account, add_agency, send_elsewhere
from mailserver.delivery import Recipient
from mailserver.dns import Resolver
from mailserver.queue.courier import Courier
from mailserver.queue.exchangers import Exchangers
from mailserver.senderauth import dkim, keys
from mailserver.senderauth.canon import fields_of
from mailserver.senderauth.mta_sts import HttpsFetch, TlsPolicies
from tests.mailserver.dns.serving import Zone, serving_dns
from tests.mailserver.queue.conftest import CV1, Carrying, Make, Peer
from tests.mailserver.smtp.serving import Talk
from tests.mailserver.smtp.talking import data, sign_in


def test_leaving_mail_carries_signatures_that_verify(carrying: Make, peer: Peer) -> None:
    one = carrying(routes={"elsewhere.example": f"127.0.0.1:{peer.port}"})
    province = one.mail.province
    made = province.database.write(lambda conn: keys.make(conn, province.seal, "camau.example", 1))
    province.database.write(lambda conn: keys.use(conn, "camau.example", 1))
    one.start()
    one.send(Recipient("a@elsewhere.example"))
    one.until(lambda: not one.rows())
    (got,) = peer.got
    content = got.content
    assert isinstance(content, bytes)
    fields, start = fields_of(content)
    with serving_dns({row.name: [("TXT", row.record)] for row in made}) as dns:
        resolver = Resolver([dns.place], timeout_s=8)
        found = asyncio.run(dkim.verify(resolver, fields, memoryview(content)[start:], 2_000_000_000))
    assert sorted((each.algorithm, each.result) for each in found) == [
        ("ed25519-sha256", "pass"),
        ("rsa-sha256", "pass"),
    ]


def by_dns(one: Carrying, resolver: Resolver, port: int) -> None:
    """Let the courier find servers in the DNS."""
    province = one.mail.province
    policies = TlsPolicies(province.database, resolver, HttpsFetch(resolver))
    one.courier = Courier(
        province.store,
        province.accounts,
        one.mail.delivery,
        one.mail.settings,
        province.wake,
        exchangers=Exchangers(resolver, policies, port),
    )


def test_a_domain_without_a_route_is_found_in_the_dns(carrying: Make, peer: Peer) -> None:
    zone: Zone = {
        "elsewhere.example": [("MX", "5 dead.elsewhere.example."), ("MX", "10 mx.elsewhere.example.")],
        "dead.elsewhere.example": [("A", "127.9.9.9")],
        "mx.elsewhere.example": [("A", "127.0.0.1")],
        "nomail.example": [("MX", "0 .")],
    }
    with serving_dns(zone) as dns:
        one = carrying()
        by_dns(one, Resolver([dns.place], timeout_s=8), peer.port)
        one.start()
        one.send(Recipient("a@elsewhere.example"), Recipient("b@elsewhere.example"))
        one.until(lambda: not one.rows())
        (got,) = peer.got
        assert got.rcpt_tos == ["a@elsewhere.example", "b@elsewhere.example"]
        one.send(Recipient("c@nomail.example"))
        one.until(lambda: not one.rows())
    (notice,) = one.mail.inbox("cv1@vpubnd.camau.example")
    assert b"5.1.10" in notice


def test_mail_to_an_agency_elsewhere_leaves_by_mx_though_it_is_in_the_directory(
    carrying: Make, peer: Peer
) -> None:
    zone: Zone = {
        "noivu.example": [("MX", "5 mx.noivu.example.")],
        "mx.noivu.example": [("A", "127.0.0.1")],
    }
    with serving_dns(zone) as dns:
        one = carrying()
        province = one.mail.province
        new = NewAgency("H29.01", "Sở Nội vụ", "SNV", "noivu.example", elsewhere=True)
        made = province.database.write(lambda conn: add_agency(conn, province.seal, new))
        province.accounts.forget()
        by_dns(one, Resolver([dns.place], timeout_s=8), peer.port)
        one.start()
        with Talk(one.mail.submission) as talk:
            assert sign_in(talk).startswith("235")
            talk.ask(f"MAIL FROM:<{CV1}>")
            assert talk.ask(f"RCPT TO:<{made.registry_address}>").startswith("250")
            assert data(talk, f"From: {CV1}\r\nSubject: s\r\n\r\nx\r\n.\r\n".encode()).startswith("250")
        one.until(lambda: not one.rows())
        with Talk(one.mail.mx) as talk:
            talk.ask("EHLO p.example")
            talk.ask("MAIL FROM:<ai@ngoai.example>")
            assert talk.ask(f"RCPT TO:<{made.registry_address}>").startswith("550")
    assert [got.rcpt_tos for got in peer.got] == [["vanthu@noivu.example"]]
    worker = NewAccount("cv9@noivu.example", "x", "x", "civil-servant")
    with pytest.raises(Refused, match="agency-elsewhere"):
        province.database.write(lambda conn: add_account(conn, province.seal, made, worker))


def test_mail_to_an_agency_that_moved_away_leaves(carrying: Make, peer: Peer) -> None:
    one = carrying(routes={"moved.example": f"127.0.0.1:{peer.port}"})
    province = one.mail.province
    new = NewAgency("H29.02", "Sở X", "X", "moved.example")
    made = province.database.write(lambda conn: add_agency(conn, province.seal, new))
    with pytest.raises(Refused, match="agency-has-accounts"):
        province.database.write(lambda conn: send_elsewhere(conn, province.seal, province.other, "t"))
    province.database.write(lambda conn: send_elsewhere(conn, province.seal, made, "t"))
    province.accounts.forget()
    one.start()
    with Talk(one.mail.submission) as talk:
        assert sign_in(talk).startswith("235")
        talk.ask(f"MAIL FROM:<{CV1}>")
        assert talk.ask(f"RCPT TO:<{made.registry_address}>").startswith("250")
        assert data(talk, f"From: {CV1}\r\nSubject: s\r\n\r\nx\r\n.\r\n".encode()).startswith("250")
    one.until(lambda: not one.rows())
    assert [got.rcpt_tos for got in peer.got] == [["vanthu@moved.example"]]


def test_a_silent_dns_lets_mail_wait(carrying: Make, peer: Peer) -> None:
    with serving_dns({"elsewhere.example": [("SERVFAIL", "")]}) as dns:
        one = carrying()
        by_dns(one, Resolver([dns.place], timeout_s=8), peer.port)
        one.start()
        one.send(Recipient("a@elsewhere.example"))
        (row,) = one.until(lambda: [each for each in one.rows() if each.attempts])
    assert row.state == "waiting"
    assert "4.4.3" in row.last_answer


@pytest.mark.parametrize("steps", range(4))
def test_a_courier_that_is_woken_as_it_ends_ends(steps: int, carrying: Make) -> None:
    one = carrying()
    one.start()

    async def walk() -> bool:
        task = one.task
        assert task is not None
        await asyncio.sleep(0.2)  # it waits for the next wake-up by now
        one.courier._on_wake("queue", "")
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        return bool(done)

    assert one.mail.loop.run(walk())
