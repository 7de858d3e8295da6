# SPDX-License-Identifier: AGPL-3.0-or-later
"""LMTP over a Unix socket by the standard library's client, and what one recipient's refusal does to the others."""

from __future__ import annotations

import smtplib
import stat
from dataclasses import replace
from pathlib import Path

from mailserver.accounts.changes import set_state
from tests.conftest import Province
from tests.mailserver.smtp.serving import Serving, Talk, serving, settings_for
from tests.running import eventually

CV1, CV2 = "cv1@vpubnd.camau.example", "cv2@vpubnd.camau.example"
LETTER = "From: ai@elsewhere.example\r\nSubject: qua LMTP\r\n\r\nxin chao\r\n"


def test_over_a_unix_socket(small_province: Province, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    settings = replace(settings, listen=replace(settings.listen, lmtp="unix:run/lmtp.sock"))
    socket = tmp_path / "run" / "lmtp.sock"
    for _ in range(2):  # the second start finds the first one's socket
        with serving(small_province, tmp_path, settings) as mail:
            assert stat.S_IMODE(socket.stat().st_mode) == 0o660
            with smtplib.LMTP(str(socket)) as client:
                for address in (CV1, CV2):  # this client reads one answer only
                    assert client.sendmail("ai@elsewhere.example", [address], LETTER) == {}
    for address in (CV1, CV2):
        assert len(mail.inbox(address)) == 2
    (kept, _) = mail.inbox(CV1)
    assert b"with LMTP id" in kept
    assert kept.endswith(b"xin chao\r\n")


def test_one_refused_recipient_does_not_stop_the_others(mail: Serving) -> None:
    accounts = mail.province.accounts
    with Talk(mail.lmtp) as talk:
        talk.ask("LHLO front.example")
        talk.all("MAIL FROM:<ai@elsewhere.example>", f"RCPT TO:<{CV1}>", f"RCPT TO:<{CV2}>")
        who = accounts.by_address(CV1)
        assert who is not None
        mail.province.database.write(lambda conn: set_state(conn, accounts.seal, who, "left", "test"))
        eventually(lambda: mail.delivery.recipient(CV1) == "unknown")
        assert talk.ask("DATA").startswith("354")
        talk.send(LETTER.encode() + b".\r\n")
        assert talk.reply().startswith("550-5.1.1")
        assert talk.reply().startswith("250 2.0.0")
    assert len(mail.inbox(CV2)) == 1
