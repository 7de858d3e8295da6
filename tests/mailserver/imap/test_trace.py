# SPDX-License-Identifier: AGPL-3.0-or-later
"""The officer's protocol trace shows how a client and the server talk, not what letters say."""

from __future__ import annotations

import imaplib

from mailserver.imap import trace
from tests.mailserver.imap.conftest import Served, message
from tests.running import eventually


def _on(served: Served, minutes: int = 5) -> None:
    who = served.person("cv1")
    province = served.province
    province.database.write(lambda conn: trace.switch_on(conn, province.seal, who, minutes, "test"))


def _read(served: Served) -> list[str]:
    with served.province.database.reading() as conn:
        return trace.read(conn, served.province.seal, served.person("cv1").ref)


def _talk(served: Served, password: str) -> None:
    with imaplib.IMAP4("127.0.0.1", served.port) as client:
        client.login(served.person("cv1").address, password)
        client.select("INBOX")
        client.fetch("1:*", "(UID FLAGS ENVELOPE BODY[])")
        client.uid("SEARCH", "SUBJECT", '"tim tu nay"')
        client.append("INBOX", None, None, message("phụ lục mật", body="noi dung thu\r\n"))  # type: ignore[arg-type]


def test_q35_commands_and_numbers_but_no_contents(served: Served, password: str) -> None:
    """Q35: the raw dialogue for the officer; bodies, envelopes, search words and letters are lengths; no password."""
    served.put(message("chuyen rieng", body='thu {30}\r\n"noi dung kin" FETCH (\r\n' + "x" * 300_000))
    _on(served)
    _talk(served, password)
    eventually(lambda: any("the session ended" in one for one in _read(served)))
    lines = _read(served)
    text = "\n".join(lines)
    assert " C " in text
    assert "SELECT INBOX" in text
    assert "1 FETCH (UID 1 FLAGS (" in text
    assert "* OK [UIDNEXT" in text
    for planted in (password, "chuyen rieng", "noi dung kin", "tim tu nay", "noi dung thu", "xxx", "LOGIN"):
        assert planted not in text, planted
    assert "<30" in text  # the octets of the body
    assert all(len(one) < 600 for one in lines)


def test_off_by_default_and_after_its_time(served: Served, password: str) -> None:
    """Without the switch nothing is kept; switching off forgets."""
    served.fill(1)
    _talk(served, password)
    assert _read(served) == []
    _on(served)

    def traced() -> list[str]:
        _talk(served, password)  # the server looks at the switches every few seconds
        return _read(served)

    eventually(traced)
    province = served.province
    province.database.write(lambda conn: trace.switch_off(conn, province.seal, served.person("cv1"), "test"))
    assert _read(served) == []
