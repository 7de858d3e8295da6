# SPDX-License-Identifier: AGPL-3.0-or-later
"""S6: messages made to be dear, sent over the wire: bounded time, a clear answer, the others unharmed."""

from __future__ import annotations

import time

import pytest

from tests.mailserver.smtp.serving import Serving, Talk
from tests.mailserver.smtp.talking import CV1, CV2, begin, data


def test_s6_huge_header_is_refused(mail: Serving) -> None:
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, b"X: y\r\n" * 200_000 + b"\r\nbody\r\n.\r\n").startswith("554-5.6.0")


def test_s6_long_lines_are_taken_as_they_are(mail: Serving) -> None:
    body = b"z" * 300_000
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, b"Subject: l\r\n\r\n" + body + b"\r\n.\r\n").startswith("250")
    assert mail.inbox(CV1)[0].endswith(b"\r\n\r\n" + body + b"\r\n")


def test_s34_loops_end(mail: Serving) -> None:
    received = b"Received: from a by b; Mon, 5 Jan 2026 08:00:00 +0700\r\n"
    with Talk(mail.mx) as talk:
        begin(talk)
        assert data(talk, received * 50 + b"\r\nx\r\n.\r\n").startswith("250")
        begin(talk)
        assert data(talk, received * 51 + b"\r\nx\r\n.\r\n").startswith("554-5.4.6")


def _parts(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n"


def _nested(depth: int) -> bytes:
    levels = [
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    ]
    return b"".join(levels) + b"\r\nx\r\n"


def _letters_in_letters(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: in\r\n\r\nx\r\n"


BOMBS: dict[str, tuple[bytes, str]] = {
    "100,000 headers": (b"X: y\r\n" * 100_000 + b"\r\nx\r\n", "250"),
    "headers without end": (b"X: y\r\n" * 300_000, "554-5.6.0"),
    "one header of 5 MB": (b"X: " + b"a" * 5_000_000 + b"\r\n\r\nx\r\n", "554-5.6.0"),
    "20,000 parts": (_parts(20_000), "250"),
    "200,000 parts": (_parts(200_000), "250"),
    "multipart 5,000 deep": (_nested(5_000), "250"),
    "rfc822 5,000 deep": (_letters_in_letters(5_000), "250"),
    "50,000 recipients in To": (
        b"To: " + b", ".join(b"a%d@x.example" % n for n in range(50_000)) + b"\r\n\r\nx\r\n",
        "250",
    ),
    "100,000 recipients in To": (
        b"To: " + b", ".join(b"a%d@x.example" % n for n in range(100_000)) + b"\r\n\r\nx\r\n",
        "554-5.6.0",
    ),
    "60,000 parameters": (
        b"Content-Type: text/plain" + b"".join(b"; n*%d*=%%41" % n for n in range(60_000)) + b"\r\n\r\nx\r\n",
        "250",
    ),
    "a comment 200,000 deep": (b"From: " + b"(" * 200_000 + b"\r\nTo: x\r\n\r\nx\r\n", "250"),
    "1,000,000 tags": (b"Content-Type: text/html\r\n\r\n" + b"<b><i>\r\n" * 500_000, "250"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_s6_bombs_over_the_wire(name: str, roomy: Serving) -> None:
    """S6, S7: taken as they are or refused with a clear code, in bounded CPU time, and another session is served
    meanwhile; what was taken can be read back byte for byte."""
    bomb, answer = BOMBS[name]
    with Talk(roomy.mx, seconds=60) as talk, Talk(roomy.mx) as other:
        begin(talk)
        begin(other, CV2)
        assert talk.ask("DATA").startswith("354")
        before = time.process_time()
        talk.send(bomb + b".\r\n")
        assert data(other, b"Subject: other\r\n\r\nx\r\n.\r\n").startswith("250")
        assert talk.reply().startswith(answer)
        assert time.process_time() - before < 4  # both sides together; the scanner alone has 2 s
        assert talk.ask("NOOP") == "250 2.0.0 OK"
    assert len(roomy.inbox(CV2)) == 1
    if answer == "250":
        (kept,) = roomy.inbox(CV1)
        assert kept.endswith(bomb)
    else:
        assert roomy.inbox(CV1) == []
