# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in: which password opens what, what is throttled, what the ledger gets."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from config.refusal import Refused
from mailserver.accounts import page_sessions, passwords
from mailserver.accounts.accounts import BadCredentials
from mailserver.accounts.changes import NewAccount, add_account, add_credential, set_state
from mailserver.accounts.model import canonical
from mailserver.accounts.throttling import Throttled
from policy.ledger.schema import pending
from tests.conftest import PASSWORD, Province

CLIENT = "192.0.2.7"


def clerk(province: Province) -> str:
    return f"vt1@{province.home.domain}"


def test_an_app_password_opens_mail_but_not_the_pages(province: Province) -> None:
    for protocol in ("imap", "submission"):
        found = province.accounts.authenticate(protocol, clerk(province).upper(), PASSWORD, CLIENT)
        assert found.address == clerk(province)
    with pytest.raises(BadCredentials):
        province.accounts.authenticate("web", clerk(province), PASSWORD, CLIENT)


def test_an_own_password_opens_the_pages_but_not_mail(province: Province) -> None:
    who = province.people[clerk(province)]
    kept = passwords.keep(passwords.OWN, "mật khẩu của riêng tôi")
    province.database.write(
        lambda conn: add_credential(conn, province.seal, who.ref, passwords.OWN, kept, "web")
    )
    assert province.accounts.authenticate("web", who.address, "mật khẩu của riêng tôi", CLIENT) == who
    with pytest.raises(BadCredentials):
        province.accounts.authenticate("imap", who.address, "mật khẩu của riêng tôi", CLIENT)


def test_distinct_wrong_passwords_are_throttled_here_and_not_elsewhere(province: Province) -> None:
    address = clerk(province)
    for number in range(5):
        with pytest.raises(BadCredentials):
            province.accounts.authenticate("imap", address, f"wrong {number}", CLIENT)
    with pytest.raises(Throttled):
        province.accounts.authenticate("imap", address, PASSWORD, CLIENT)
    assert province.accounts.authenticate("imap", address, PASSWORD, "192.0.2.8").address == address


def test_one_old_password_repeated_locks_nobody_out(province: Province) -> None:
    for _ in range(20):
        with pytest.raises(BadCredentials):
            province.accounts.authenticate("imap", clerk(province), "the old one", CLIENT)
    assert province.accounts.authenticate("imap", clerk(province), PASSWORD, CLIENT)


def test_failures_leave_one_ledger_entry_for_account_source_and_minute(province: Province) -> None:
    for number in range(4):
        with pytest.raises(BadCredentials):
            province.accounts.authenticate("imap", clerk(province), f"wrong {number}", CLIENT)
    with province.database.reading() as conn:
        kinds = [row.kind for row in conn.execute(sa.select(pending.c.kind).order_by(pending.c.id))]
    assert 1 <= kinds.count("account.sign-in-failed") <= 2


def test_unknown_accounts_and_garbage_are_refused_alike(province: Province) -> None:
    for address in ("nobody@nowhere.example", "", "@", "x" * 5000, "a\0b@c.example", "vt1"):
        with pytest.raises(BadCredentials):
            province.accounts.authenticate("imap", address, "x", CLIENT)


def test_a_locked_account_does_not_open(province: Province) -> None:
    who = province.people[clerk(province)]
    token = page_sessions.begin(province.accounts, who, 1)
    assert page_sessions.holder(province.accounts, token) == who
    province.database.write(lambda conn: set_state(conn, province.seal, who, "locked", "test"))
    province.accounts.forget()
    with pytest.raises(Refused) as refused:
        province.accounts.authenticate("imap", who.address, PASSWORD, CLIENT)
    assert refused.value.code == "account-locked"
    assert page_sessions.holder(province.accounts, token) is None
    province.database.write(lambda conn: set_state(conn, province.seal, who, "active", "test"))
    province.accounts.forget()
    assert page_sessions.holder(province.accounts, token) is None, "it does not come back"
    assert province.accounts.authenticate("imap", who.address, PASSWORD, CLIENT).address == who.address


def test_sessions_end(province: Province) -> None:
    """S26: a session is a random word that is looked up; a made-up one opens nothing."""
    who = province.people[clerk(province)]
    token = page_sessions.begin(province.accounts, who, 1)
    page_sessions.end(province.accounts, token)
    assert page_sessions.holder(province.accounts, token) is None
    assert page_sessions.holder(province.accounts, "made up") is None
    assert page_sessions.holder(province.accounts, page_sessions.begin(province.accounts, who, 0)) is None


def test_an_address_is_given_once(province: Province) -> None:
    new = NewAccount(clerk(province).upper(), "x", "x", "clerk")
    with pytest.raises(Refused) as refused:
        province.database.write(lambda conn: add_account(conn, province.seal, province.home, new))
    assert refused.value.code == "address-taken"


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b", "a b@c.vn", "a@b..c", "a@b@c", "a@-b", "a\n@b.vn", "<a@b>"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Refused):
        canonical(text)


def test_a_right_password_clears_what_was_counted(province: Province) -> None:
    address = clerk(province)
    for _ in range(2):
        for number in range(4):
            with pytest.raises(BadCredentials):
                province.accounts.authenticate("imap", address, f"wrong {number}", CLIENT)
        assert province.accounts.authenticate("imap", address, PASSWORD, CLIENT).address == address
