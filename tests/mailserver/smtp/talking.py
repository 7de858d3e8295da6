# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a client says, for the tests that talk SMTP byte by byte."""

from __future__ import annotations

import base64

from tests.conftest import PASSWORD
from tests.mailserver.smtp.serving import LIMIT, Talk

CV1, CV2 = "cv1@vpubnd.camau.example", "cv2@vpubnd.camau.example"


def begin(talk: Talk, *recipients: str, sender: str = "ai@elsewhere.example") -> None:
    answers = talk.all(
        "EHLO p.example", f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients or (CV1,))
    )
    assert all(one.startswith("250") for one in answers), answers


def data(talk: Talk, content: bytes) -> str:
    assert talk.ask("DATA").startswith("354")
    talk.send(content)
    return talk.reply()


def sign_in(talk: Talk, address: str = CV1, password: str = PASSWORD) -> str:
    talk.ask("EHLO client.example")
    return talk.ask("AUTH PLAIN " + base64.b64encode(f"\0{address}\0{password}".encode()).decode())


def flood(talk: Talk) -> int:
    """Send letters A until the server ends it; how many bytes went."""
    sent = 0
    try:
        while sent < 40 * LIMIT:
            talk.send(b"A" * 65536)
            sent += 65536
    except OSError:
        pass
    return sent
