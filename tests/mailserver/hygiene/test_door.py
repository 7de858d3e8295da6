# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail at the MX: what the DNS says of its sender decides where it goes, and is kept beside it."""

from __future__ import annotations

from pathlib import Path

from mailserver.hygiene import Verdict
from tests.conftest import Province
from tests.mailserver.hygiene.conftest import ZONE, Start
from tests.mailserver.senderauth.letters import LETTER, signed
from tests.mailserver.senderauth.test_dkim import ED
from tests.mailserver.smtp.serving import Serving, Talk

HERE = "cv1@vpubnd.camau.example"


def give(server: Serving, letter: bytes, sender: str = "a@dongnai.example") -> str:
    with Talk(server.mx) as talk:
        talk.all("EHLO h.dongnai.example", f"MAIL FROM:<{sender}>", f"RCPT TO:<{HERE}>", "DATA")
        talk.send(letter + b".\r\n")
        return talk.reply()


def verdict(server: Serving, box: str = "INBOX") -> Verdict:
    store, account = server.province.store, server.province.people[HERE]
    ref = store.find(account.ref, box)
    assert ref is not None
    packed = store.verdict(store.uid_map(ref)[-1].blob)
    assert packed is not None
    return Verdict.unpack(packed)


def test_a_proved_sender(start: Start) -> None:
    with start() as server:
        assert give(server, signed(LETTER, ED)).startswith("250")
        (stored,) = server.inbox(HERE)
        assert (
            b"\r\nAuthentication-Results: mail.camau.example;\r\n\tspf=fail"
            in stored.partition(b"Received:")[0]
        )
        assert b"dmarc=pass (p=reject) header.from=dongnai.example\r\n" in stored
        assert stored.endswith(signed(LETTER, ED))
        found = verdict(server)
        assert (found.sender, found.author, found.dkim) == (
            "proved",
            "dongnai.example",
            ("pass dongnai.example",),
        )


def test_a_forged_sender_is_refused_with_the_rule_and_the_remedy(start: Start) -> None:
    with start() as server:
        answer = give(server, LETTER)
        assert answer.startswith("550")
        assert "R-MAIL-11" in answer
        assert "SPF" in answer
        assert not server.inbox(HERE)


def test_quarantine_is_the_junk_folder(start: Start) -> None:
    with start() as server:
        assert give(server, LETTER.replace(b"dongnai", b"quan")).startswith("250")
        assert not server.inbox(HERE)
        assert len(server.inbox(HERE, "Thư rác")) == 1
        found = verdict(server, "Thư rác")
        assert (found.sender, found.junk) == ("failed", "dmarc")


def test_an_unproved_sender_is_taken_and_said(start: Start) -> None:
    with start() as server:
        assert give(server, LETTER.replace(b"dongnai", b"khac")).startswith("250")
        assert verdict(server).sender == "unproved"


def test_a_look_alike_and_our_own_name_are_warned_of(start: Start) -> None:
    with start() as server:
        give(server, LETTER.replace(b"dongnai.example", "cаmau.example".encode()))
        assert [one.rule for one in verdict(server).notes] == ["R-MAIL-12"]
        give(server, LETTER.replace(b"dongnai.example", b"vpubnd.camau.example"))
        assert [one.rule for one in verdict(server).notes] == ["R-MAIL-13"]


def test_a_dead_dns_defers_what_would_be_refused(start: Start) -> None:
    with start() as server:
        ZONE["dongnai.example"].append(("SERVFAIL", ""))
        try:
            answer = give(server, LETTER)
        finally:
            ZONE["dongnai.example"].pop()
        assert answer.startswith("451")
        assert not server.inbox(HERE)


def test_a_policy_that_can_not_be_read_defers(start: Start) -> None:
    with start() as server:
        ZONE["_dmarc.khac.example"] = [("SERVFAIL", "")]
        try:
            answer = give(server, LETTER.replace(b"dongnai", b"khac"))
        finally:
            del ZONE["_dmarc.khac.example"]
        assert answer.startswith("451 4.7.24") or answer.startswith("451-4.7.24")
        assert not server.inbox(HERE)


def test_the_verdict_is_sealed(start: Start, small_province: Province) -> None:
    with start() as server:
        give(server, signed(LETTER, ED))
    raw = b"".join(one.read_bytes() for one in Path(server.folder).glob("congvan.db*"))
    assert b"pass dongnai.example" not in raw
