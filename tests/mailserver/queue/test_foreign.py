# SPDX-License-Identifier: AGPL-3.0-or-later
"""Postfix and Exim send to us and take from our queue; what was written arrives byte for byte; the data is sound."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mailserver.delivery import Recipient
from mailserver.store.verify import verify_data
from tests.mailserver.queue import foreign
from tests.mailserver.queue.conftest import CV1, Carrying, Make
from tests.mailserver.queue.foreign import Foreign
from tests.mailserver.smtp.serving import free_port

BODY = (
    "Kính gửi Văn phòng,\r\n"
    "..hai dấu chấm ở đầu dòng\r\n"
    ".\r\n"
    "một dòng dài: " + "dài " * 180 + "\r\n"
    "\r\n"
    "hết\r\n"
).encode()
HEAD = "From: {}\r\nTo: {}\r\nSubject: =?utf-8?b?Q8O0bmcgdsSDbg==?=\r\nMessage-ID: <1@x.example>\r\n"
HEAD += "Date: Sat, 28 Nov 2026 08:00:00 +0700\r\nMIME-Version: 1.0\r\n"
HEAD += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
OTHERS: dict[str, Callable[[Path, int, int], AbstractContextManager[Foreign]]] = {
    "postfix": foreign.postfix,
    "exim": foreign.exim,
}


@pytest.mark.parametrize("name", OTHERS)
def test_both_directions(name: str, carrying: Make, tmp_path: Path) -> None:
    if not foreign.available()[name]:
        pytest.skip(f"{name} is not here, or this is not root")
    port = free_port()
    made = carrying(routes={"foreign.example": f"127.0.0.1:{port}"})
    with OTHERS[name](tmp_path / name, made.mail.mx[1], port) as other:
        _it_sends_to_us(made, other)
        _we_send_to_it(made, other)
    province = made.mail.province
    assert verify_data(province.database, province.store.segments, province.seal).problems == []


def _it_sends_to_us(made: Carrying, other: Foreign) -> None:
    with smtplib.SMTP("127.0.0.1", other.port, timeout=30) as client:
        message = HEAD.format("a@foreign.example", CV1).encode() + BODY
        client.sendmail("a@foreign.example", [CV1], message, ["BODY=8BITMIME"])
    (kept,) = made.until(lambda: made.mail.inbox(CV1), 60)
    assert kept.endswith(b"\r\n\r\n" + BODY), other.log()


def _we_send_to_it(made: Carrying, other: Foreign) -> None:
    made.start()
    message = HEAD.format(CV1, "box@foreign.example").encode() + BODY
    made.send(Recipient("box@foreign.example"), data=message)
    (kept,) = made.until(other.box, 60)
    assert kept.replace(b"\r\n", b"\n").endswith(b"\n\n" + BODY.replace(b"\r\n", b"\n")), other.log()
    made.until(lambda: not made.rows(), 30)
