# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: each thing that is not in order has a line that says what to do."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from config.clock import now_us
from congvan.installation import Installation
from mailserver.accounts.changes import set_quota
from mailserver.store import outbound
from policy.ledger.schema import pending
from tests.congvan.conftest import HOME, Resting

CV1 = f"cv1@{HOME}"


def lines(resting: Resting) -> dict[str, tuple[bool, str, str]]:
    """What `congvan check` says, by name; of several lines of a name the one that is not ok."""
    found: dict[str, tuple[bool, str, str]] = {}
    for one in resting.json("check")[1]["items"]:
        if found.get(one["name"], (True,))[0]:
            found[one["name"]] = (one["ok"], one["vi"], one["en"])
    return found


def test_check_of_a_good_installation_names_only_what_is_missing(resting: Resting) -> None:
    def waiting_since_now(parts: Installation) -> None:  # others may have used the installation a minute ago
        parts.database.write(lambda conn: conn.execute(sa.update(pending).values(at_us=now_us())))

    resting.write(waiting_since_now)
    code, told, words = resting.run("check")
    wrong = {one["name"] for one in told["items"] if not one["ok"]}
    assert code == 1
    assert wrong == {"running", "tls", "backup"}, told  # not started, a certificate of one day, no key made
    assert "FIX  running" in words
    assert "congvan serve" in words
    assert {"database", "queue", "ledger", "clock", "disk", "storage", "quota", "rules", "dns"} <= {
        one["name"] for one in told["items"]
    }


def test_check_finds_what_is_wrong_and_says_what_to_do(resting: Resting) -> None:
    settings = resting.settings
    assert lines(resting)["keys"][0]
    settings.master_key.chmod(0o644)
    ok, vi, en = lines(resting)["keys"]
    assert not ok
    assert f"chmod 600 {settings.master_key}" in vi
    assert f"chmod 600 {settings.master_key}" in en
    settings.master_key.chmod(0o600)

    def queued(parts: Installation) -> None:
        new = outbound.NewOutbound(1, 1, CV1, "a@ngoai.example")

        def job(conn: sa.Connection) -> None:
            number = outbound.add(conn, parts.seal, new)
            row = outbound.one_row(conn, parts.seal, 1, number)
            assert row is not None
            outbound.hold(conn, parts.seal, row, "no route")

        parts.database.write(job)

    resting.write(queued)
    assert "congvan queue list" in lines(resting)["queue"][1]
    certificate = settings.at(settings.tls.certificate)
    certificate.rename(certificate.with_suffix(".away"))
    assert str(certificate) in lines(resting)["tls"][2]


def test_check_names_the_fullest_mailboxes(resting: Resting) -> None:
    assert lines(resting)["quota"][0]

    def full(parts: Installation) -> None:
        who = parts.accounts.by_address(CV1)
        assert who is not None
        ref = parts.store.find(who.ref, "INBOX")
        assert ref is not None
        asyncio.run(parts.store.append(ref, b"Subject: x\r\n\r\n" + b"x" * 5000, 0, 1))
        parts.database.write(lambda conn: set_quota(conn, parts.seal, who, 5500, "test"))

    resting.write(full)
    ok, vi, en = lines(resting)["quota"]
    assert not ok
    assert f"{CV1} 91 %" in vi
    assert "congvan account quota" in en


def test_check_names_an_agency_whose_letters_should_leave(resting: Resting) -> None:
    assert lines(resting)["routes"][0]
    text = resting.settings.file.read_text(encoding="utf-8")
    assert "routes = {  }" in text
    resting.settings.file.write_text(
        text.replace("routes = {  }", f'routes = {{ "{HOME}" = "mx.example:25" }}'), encoding="utf-8"
    )
    ok, vi, en = lines(resting)["routes"]
    assert not ok
    assert "H12.01" in vi
    assert "congvan agency elsewhere" in en
