# SPDX-License-Identifier: AGPL-3.0-or-later
"""Smarthosts that want a sign-in: the password goes over verified TLS only, and is never shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult

from config.refusal import Refused
from mailserver.delivery import Recipient
from mailserver.queue.routes import Routes
from tests.conftest import Province
from tests.mailserver.queue.conftest import CV1, Make, Peer, serve
from tests.mailserver.queue.test_courier import age, notice
from tests.mailserver.smtp.serving import certificate, settings_for

PASSWORD = "bi mat của relay"


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Peer]:
    """A smarthost that takes mail only after AUTH over TLS; ``tmp_path/relay/ca.pem`` trusts it."""
    folder = tmp_path / "relay"
    folder.mkdir()

    def check(
        _server: object, _session: object, _envelope: object, mechanism: str, data: object
    ) -> AuthResult:
        login, password = data.login.decode(), data.password.decode()  # type: ignore[attr-defined]
        good = (login, password) == ("tinh", PASSWORD)
        return AuthResult(success=good, handled=good)

    options = {"authenticator": check, "auth_required": True, "auth_require_tls": True}
    with serve(Peer(), tls_context=certificate(folder), require_starttls=True, **options) as made:
        yield made


def passwords(folder: Path, port: int, password: str = PASSWORD, mode: int = 0o600) -> str:
    file = folder / "passwords"
    file.write_text(f"# relay\ntinh@localhost:{port} {password}\n", encoding="utf-8")
    file.chmod(mode)
    return str(file)


def test_mail_goes_out_signed_in(carrying: Make, relay: Peer, tmp_path: Path) -> None:
    one = carrying(
        routes={"*": f"tls://tinh@localhost:{relay.port}"},
        password_file=passwords(tmp_path, relay.port),
        ca_file=str(tmp_path / "relay" / "ca.pem"),
    )
    one.start()
    one.send(Recipient("a@elsewhere.example"))
    one.until(lambda: not one.rows())
    assert relay.tls == [True]


@pytest.mark.parametrize("what", ["wrong password", "unknown certificate"])
def test_what_is_wrong_waits_and_says_so_without_the_password(
    carrying: Make, relay: Peer, tmp_path: Path, what: str
) -> None:
    wrong = what == "wrong password"
    one = carrying(
        routes={"*": f"tls://tinh@localhost:{relay.port}"},
        password_file=passwords(tmp_path, relay.port, "sai" if wrong else PASSWORD),
        ca_file=str(tmp_path / "relay" / "ca.pem") if wrong else "",
    )
    one.start()
    one.send(Recipient("a@elsewhere.example"))
    one.until(lambda: one.rows()[0].attempts)
    (row,) = one.rows()
    assert row.state == "waiting"
    assert "refuses our sign-in: 535" in row.last_answer or "certificate" in row.last_answer.lower()
    assert PASSWORD not in row.last_answer
    assert relay.got == []


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        ("tinh@localhost:25", 0o600),
        ("tls://khac@localhost:25", 0o600),
        ("tls://tinh@localhost:25", 0o644),
        ("tls://tinh@localhost:99999", 0o600),
        ("localhost", 0o600),
    ],
)
def test_settings_that_can_not_be(small_province: Province, tmp_path: Path, route: str, mode: int) -> None:
    settings = settings_for(tmp_path, routes={"*": route}, password_file=passwords(tmp_path, 25, mode=mode))
    with pytest.raises(Refused, match="bad-settings"):
        Routes(settings, small_province.accounts)


def test_a_password_is_not_in_what_is_printed(small_province: Province, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path, routes={"*": "tls://tinh@localhost:25"}, password_file=passwords(tmp_path, 25)
    )
    route = Routes(settings, small_province.accounts).of("x.example")
    assert route is not None
    assert route.password == PASSWORD
    assert PASSWORD not in repr(route)


def test_an_agency_elsewhere_has_a_route_by_name(small_province: Province, tmp_path: Path) -> None:
    """Its domain is known here, for documents; its mail goes where the table says, and only its."""
    other = small_province.other.domain
    settings = settings_for(tmp_path, routes={other: "partner.example:25", "*": "relay.example:25"})
    routes = Routes(settings, small_province.accounts)
    found = [routes.of(one) for one in (other, other.upper(), small_province.home.domain, "x.example")]
    assert [one.host for one in found if one is not None] == [
        "partner.example",
        "partner.example",
        "127.0.0.1",
        "relay.example",
    ]


@pytest.mark.parametrize(("ret", "kind"), [("FULL", "message/rfc822"), ("HDRS", "text/rfc822-headers")])
def test_the_whole_message_comes_back_when_asked_for(carrying: Make, peer: Peer, ret: str, kind: str) -> None:
    """RET (RFC 3461 §4.3)."""
    peer.answers["a@elsewhere.example"] = "550 5.1.1 unknown"
    one = carrying(routes={"*": f"127.0.0.1:{peer.port}"})
    one.start()
    data = f"From: {CV1}\r\nSubject: x\r\n\r\nToan van\r\n".encode()
    one.send(Recipient("a@elsewhere.example"), data=data, ret=ret, envelope_id="id1")
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    assert f"Content-Type: {kind}".encode() in told
    assert (b"Toan van" in told) is (ret == "FULL")
    assert b"Original-Envelope-Id: id1" in told


def test_an_officer_gives_a_row_up_and_its_sender_is_told(carrying: Make) -> None:
    from mailserver.store import outbound

    one = carrying(routes={"*": "127.0.0.1:9"})
    one.send(Recipient("a@elsewhere.example"))
    (row,) = one.rows()
    assert one.mail.province.database.write(lambda conn: outbound.expire(conn, row.agency, row.row)) == 1
    one.start()
    (told,) = one.until(lambda: one.mail.inbox(CV1))
    _, groups, _ = notice(told)
    assert (groups[1]["Action"], groups[1]["Status"]) == ("failed", "5.4.7")
    one.until(lambda: not one.rows())


@pytest.mark.parametrize(("hours", "tells"), [(1, True), (8, False)])
def test_a_delay_is_told_after_the_hours_of_the_setting(carrying: Make, hours: int, tells: bool) -> None:
    one = carrying(routes={"*": "127.0.0.1:9"}, delay_notice_hours=hours)
    one.send(Recipient("a@elsewhere.example"))
    age(one, 4.5)
    one.start()
    one.until(lambda: one.rows()[0].attempts)
    assert bool(one.mail.inbox(CV1)) is tells
