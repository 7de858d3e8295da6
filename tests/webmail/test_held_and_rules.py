# SPDX-License-Identifier: AGPL-3.0-or-later
"""Taking a letter back, sending later, rules, absence, the officer's queue."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from config.clock import now_us, today_local
from config.refusal import Refused
from config.settings import Submission
from mailserver.accounts import delegations, passwords
from mailserver.accounts.changes import NewAccount, add_account, add_credential
from mailserver.delivery import Delivery, Incoming, Recipient
from mailserver.sieve import scripts
from mailserver.store import outbound, submissions
from tests.conftest import PASSWORD
from tests.webmail.conftest import CIVIL, CLERK, OTHER, Browser, Site

LETTER = {"to": OTHER, "subject": "Báo cáo", "body": "x"}
OFFICER = "quantri@vpubnd.camau.example"


@pytest.fixture
def waiting(site: Site) -> Site:
    """Letters wait 10 s."""
    site.parts.settings = replace(site.parts.settings, submission=Submission())  # type: ignore[misc]
    return site


def inbox(site: Site, address: str) -> int:
    return len(site.province.store.uid_map(site.inbox(address)))


def held(site: Site) -> list[submissions.Submission]:
    with site.parts.database.reading() as conn:
        return submissions.of_account(conn, site.province.seal, site.person(CIVIL).ref)


def field(text: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', text)
    assert found is not None
    return found[1]


def test_a_letter_can_be_taken_back_and_written_on(waiting: Site) -> None:
    browser = waiting.signed_in(CIVIL)
    assert browser.post("/compose", LETTER).status_code == 302
    text = browser.get("/mail/inbox").text
    assert "/scheduled/cancel" in text
    assert inbox(waiting, OTHER) == 0
    (one,) = held(waiting)
    answer = browser.post("/scheduled/cancel", {"number": str(one.number)})
    assert answer.status_code == 302
    draft = browser.get(answer.headers["Location"]).text
    assert 'value="Báo cáo"' in draft
    assert held(waiting) == []
    again = browser.post("/scheduled/cancel", {"number": str(one.number)})
    assert again.status_code in (400, 409, 422)
    assert waiting.bridge.wait(waiting.parts.delivery.release(one)) is None
    assert inbox(waiting, OTHER) == 0


def test_a_letter_is_scheduled_listed_and_sent_now(waiting: Site) -> None:
    browser = waiting.signed_in(CIVIL)
    for wrong in ("mai", "01/01/2001 07:30", "31/02/2027 07:30", "01/01/2099 07:30", "27/11/2027"):
        answer = browser.post("/compose", LETTER | {"later": wrong})
        assert answer.status_code == 422
        assert "later-error" in answer.text
    day = f"{today_local() + timedelta(days=2):%d/%m/%Y}"
    assert browser.post("/compose", LETTER | {"later": f"{day} 07:30"}).status_code == 302
    (one,) = held(waiting)
    listed = browser.get("/scheduled").text
    assert "Báo cáo" in listed
    assert day in listed
    assert "/scheduled" in browser.get("/mail/inbox").text
    other = waiting.signed_in(OTHER)
    assert other.post("/scheduled/cancel", {"number": str(one.number)}).status_code != 302  # not theirs
    assert browser.post("/scheduled/now", {"number": str(one.number)}).status_code == 302
    (due,) = held(waiting)
    assert due.release_us <= now_us()
    waiting.bridge.wait(waiting.parts.delivery.release(due))
    assert inbox(waiting, OTHER) == 1


def test_rules_are_made_and_removed_on_the_page(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    for fields in ({}, {"if-subject": "x"}, {"folder": "x"}, {"if-from": "x", "forward": "a@ngoai.example"}):
        assert browser.post("/me/filters", fields).status_code == 422
    rule = {
        "if-subject": 'báo "cáo"',
        "if-from": "@ngoai",
        "folder": "Báo cáo",
        "flag": "1",
        "forward": OTHER,
    }
    assert browser.post("/me/filters", rule).status_code == 302
    text = browser.get("/me/filters").text
    assert "báo &#34;cáo&#34;" in text
    with site.parts.database.reading() as conn:
        (kept,) = scripts.of_account(conn, site.province.seal, site.person(CIVIL).ref)
    assert kept.active
    assert 'fileinto :create "Báo cáo"' in kept.text
    assert browser.post("/me/filters/remove", {"position": "7"}).status_code == 404
    assert browser.post("/me/filters/remove", {"position": "0"}).status_code == 302
    with site.parts.database.reading() as conn:
        assert scripts.of_account(conn, site.province.seal, site.person(CIVIL).ref) == []


def test_an_absence_needs_an_end_and_lends_the_mailbox(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    last = f"{today_local() + timedelta(days=3):%d/%m/%Y}"
    for fields in (
        {"text": "x"},
        {"text": "x", "last": "01/01/2001"},
        {"text": "x", "last": last, "deputy": "khongco@vpubnd.camau.example"},
        {"text": "x", "last": "hôm nào"},
    ):
        assert browser.post("/me/away", fields).status_code == 422, fields
    deputy = site.signed_in(CLERK)
    assert site.person(CIVIL).name not in deputy.get("/mail/inbox").text
    fields = {"text": "Tôi đi công tác.", "subject": "Vắng", "last": last, "deputy": CLERK}
    assert browser.post("/me/away", fields).status_code == 302
    text = browser.get("/me/away").text
    assert last in text
    assert CLERK in text
    ref = site.inbox(CIVIL)
    shown = deputy.get("/mail/inbox").text
    assert f"/mail/{ref.agency}.{ref.mailbox}" in shown
    assert deputy.get(f"/mail/{ref.agency}.{ref.mailbox}").status_code == 200
    uid = site.put(CIVIL, b"Subject: Mot\r\n\r\nx\r\n")
    here = f"/mail/{ref.agency}.{ref.mailbox}"
    assert deputy.get(f"{here}/{uid}").status_code == 200
    assert deputy.post(f"{here}/act", {"do": "flag", "uid": str(uid)}).status_code == 302
    for what in ("trash", "archive"):
        assert deputy.post(f"{here}/act", {"do": what, "uid": str(uid)}).status_code == 403
    assert site.signed_in(OTHER).get(f"/mail/{ref.agency}.{ref.mailbox}").status_code == 404
    assert browser.post("/me/away/end", {}).status_code == 302
    assert deputy.get(f"/mail/{ref.agency}.{ref.mailbox}").status_code == 404
    assert delegations.read_by(site.parts.accounts, site.person(CLERK)) == []


def officer(site: Site) -> Browser:
    def job(conn):  # type: ignore[no-untyped-def]
        new = NewAccount(OFFICER, "Quản trị", "Quản trị", "system-officer")
        made = add_account(conn, site.province.seal, site.province.home, new)
        add_credential(
            conn, site.province.seal, made.ref, passwords.OWN, passwords.keep(passwords.OWN, PASSWORD), ""
        )

    site.parts.database.write(job)
    site.parts.accounts.forget()
    return site.signed_in(OFFICER)


def test_the_officer_holds_releases_and_gives_back(site: Site) -> None:
    delivery: Delivery = site.parts.delivery
    for address in ("a@elsewhere.example", "b@elsewhere.example"):
        incoming = Incoming(CIVIL, (Recipient(address),), b"From: x\r\nSubject: bi mat\r\n\r\n", "exchange")
        site.bridge.wait(delivery.deliver(incoming))
    browser = officer(site)
    text = browser.get("/admin/queue").text
    assert "a@elsewhere.example" in text
    assert "bi mat" not in text  # an officer sees envelopes, not letters
    key = field(text, "row")
    assert browser.post("/admin/queue", {"row": key, "do": "hold"}).status_code == 302
    assert "a@elsewhere.example" in browser.get("/admin/queue?state=held").text
    assert "b@elsewhere.example" not in browser.get("/admin/queue?state=held").text
    assert browser.post("/admin/queue", {"row": key, "do": "retry"}).status_code == 302
    assert browser.post("/admin/queue", {"row": key, "do": "expire"}).status_code == 302
    with site.parts.database.reading() as conn:
        states = sorted(one.state for one in outbound.listed(conn, site.province.seal))
    assert states == ["expiring", "waiting"]
    for wrong in ({"row": "9.9", "do": "hold"}, {"row": key, "do": "eat"}, {"row": "x", "do": "hold"}):
        assert browser.post("/admin/queue", wrong).status_code == 404
    for address in (CIVIL, CLERK):
        assert site.signed_in(address).get("/admin/queue").status_code == 403
        assert site.signed_in(address).post("/admin/queue", {"row": key, "do": "hold"}).status_code == 403
    assert browser.get("/admin").status_code == 302


def test_the_officers_page_shows_hostile_addresses_as_text(site: Site) -> None:
    """S19: what a stranger, a sender or another server wrote is text on the page of the queue too."""
    hostile = '"<script>alert(1)</script>"@elsewhere.example'
    data = b"From: x\r\nSubject: x\r\n\r\n"

    def send(sender: str, recipient: str) -> None:
        incoming = Incoming(sender, (Recipient(recipient),), data, "exchange")
        site.bridge.wait(site.parts.delivery.deliver(incoming))

    with pytest.raises(Refused):
        send(CIVIL, hostile)
    send(hostile, "b@elsewhere.example")
    with site.parts.database.reading() as conn:
        rows = outbound.listed(conn, site.province.seal)
    said = "550 <img src=x onerror=alert(1)>"
    site.parts.database.write(
        lambda conn: [outbound.hold(conn, site.province.seal, one, said) for one in rows]
    )
    text = officer(site).get("/admin/queue").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
