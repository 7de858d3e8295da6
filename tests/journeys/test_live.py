# SPDX-License-Identifier: AGPL-3.0-or-later
"""The server itself: TLS, limits, events, many open streams, stopping."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import ssl
import threading
import time

import pytest

from mailserver.delivery import Incoming, Recipient
from tests.conftest import PASSWORD
from tests.journeys.conftest import Served
from tests.webmail.conftest import CIVIL, OTHER, letter


def _context(served: Served) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(served.certificate))


def _connect(served: Served) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("127.0.0.1", served.port, context=_context(served), timeout=20)


def _cookies(answer: http.client.HTTPResponse) -> str:
    return "; ".join(one.partition(";")[0] for one in answer.headers.get_all("Set-Cookie") or [])


def sign_in(served: Served, address: str = CIVIL) -> str:
    """A session's cookies."""
    conn = _connect(served)
    conn.request("GET", "/sign-in")
    door = conn.getresponse()
    page = door.read().decode()
    token = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert token is not None
    body = f"token={token[1]}&address={address}&password={PASSWORD}"
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": _cookies(door)}
    conn.request("POST", "/sign-in", body, kind)
    answer = conn.getresponse()
    answer.read()
    assert answer.status == 302
    return _cookies(answer)


class Stream:
    """An open ``/events``."""

    def __init__(self, served: Served, cookies: str) -> None:
        self.conn = _connect(served)
        self.conn.request("GET", "/events", headers={"Cookie": cookies, "Accept-Language": "vi"})
        self.answer = self.conn.getresponse()

    def next(self, wanted: str) -> dict[str, object]:
        """The data of the next event of this kind."""
        kind = ""
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: ") and kind == wanted:
                found: dict[str, object] = json.loads(line[6:])
                return found


def _deliver(served: Served, subject: str, to: str = CIVIL) -> None:
    sender = served.province.people[OTHER]
    message = letter(subject, sender=OTHER, to=to).as_bytes()
    work = served.parts.delivery.deliver(Incoming(OTHER, (Recipient(to),), message, "page", account=sender))
    asyncio.run_coroutine_threadsafe(work, served.loop).result(20)


def test_health_over_tls(served: Served) -> None:
    conn = _connect(served)
    conn.request("GET", "/health")
    answer = conn.getresponse()
    assert (answer.status, answer.read()) == (200, b"ok\n")
    assert "uvicorn" not in str(answer.headers).lower()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(served: Served) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", served.port)) as plain,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        context.wrap_socket(plain)


def test_new_mail_is_told_at_once(served: Served) -> None:
    stream = Stream(served, sign_in(served))
    assert stream.answer.status == 200
    assert stream.next("count")["mail.inbox"] == 0
    start = time.monotonic()
    _deliver(served, "Vừa tới")
    assert stream.next("count")["mail.inbox"] == 1
    news = stream.next("mail")
    assert "Vừa tới" in str(news["text"])
    assert news["href"] == "/mail/inbox/1"
    assert time.monotonic() - start < 5


def test_streams_need_a_session_and_end_in_number(served: Served) -> None:
    assert Stream(served, "").answer.status == 401
    cookies = sign_in(served)
    streams = [Stream(served, cookies) for _ in range(12)]
    assert {one.answer.status for one in streams} == {200}
    assert Stream(served, cookies).answer.status == 429
    streams[0].conn.close()
    streams[0].answer.close()
    deadline = time.monotonic() + 10
    while True:
        again = Stream(served, cookies)
        if again.answer.status == 200:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_pages_answer_while_streams_are_open(served: Served) -> None:
    cookies = sign_in(served)
    streams = [Stream(served, cookies) for _ in range(12)]
    start = time.monotonic()
    conn = _connect(served)
    for _ in range(5):
        conn.request("GET", "/mail/inbox", headers={"Cookie": cookies})
        answer = conn.getresponse()
        answer.read()
        assert answer.status == 200
    assert time.monotonic() - start < 5
    assert len(streams) == 12


def test_slow_uploads_take_no_thread(served: Served) -> None:
    cookies = sign_in(served)
    slow = []
    for _ in range(12):
        conn = _connect(served)
        conn.putrequest("POST", "/compose")
        conn.putheader("Cookie", cookies)
        conn.putheader("Content-Length", "1000000")
        conn.endheaders()
        conn.send(b"x" * 10)
        slow.append(conn)
    conn = _connect(served)
    start = time.monotonic()
    conn.request("GET", "/mail/inbox", headers={"Cookie": cookies})
    assert conn.getresponse().status == 200
    assert time.monotonic() - start < 5
    for one in slow:
        one.close()


def test_bodies_without_length_or_too_large_are_refused(served: Served) -> None:
    cookies = sign_in(served)
    conn = _connect(served)
    conn.request("POST", "/compose", iter([b"a=1"]), {"Cookie": cookies}, encode_chunked=True)
    assert conn.getresponse().status == 411
    conn = _connect(served)
    conn.putrequest("POST", "/compose")
    conn.putheader("Content-Length", str(10**9))
    conn.endheaders()
    assert conn.getresponse().status == 413
    conn = _connect(served)
    conn.request("GET", "/mail/inbox?q=%FF%00", headers={"Cookie": cookies})
    assert conn.getresponse().status == 200


def test_raw_rubbish_is_answered_with_400(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as plain:
        made = _context(served).wrap_socket(plain, server_hostname="localhost")
        made.sendall(
            "GET /mail/inbox?q=đường HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert b" 400 " in made.recv(200)


def test_it_stops_within_three_seconds_with_a_stream_open(served: Served) -> None:
    stream = Stream(served, sign_in(served))
    stream.next("count")
    start = time.monotonic()
    ended = threading.Event()
    served.loop.call_soon_threadsafe(served.running.add_done_callback, lambda _: ended.set())
    served.loop.call_soon_threadsafe(served.running.cancel)
    assert ended.wait(6)
    assert time.monotonic() - start < 4
