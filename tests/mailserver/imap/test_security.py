# SPDX-License-Identifier: AGPL-3.0-or-later
"""Hostile and careless clients: STARTTLS injection, memory, slow readers, silence, rules on shared mailboxes."""

from __future__ import annotations

import resource
import socket
import ssl
import struct
import threading
import time

import pytest

from config.refusal import Refused
from tests.mailserver.imap.conftest import Served, Starter, message
from tests.mailserver.imap.dialogue import Wire


def signed_in(served: Served, password: str, local: str = "cv1") -> Wire:
    """A connection that has signed in."""
    wire = Wire(served.port)
    wire.line()
    assert b" OK " in wire.command(f"LOGIN {served.person(local).address} {password}")[-1]
    return wire


def eventually(test: object) -> None:
    """Wait until ``test()`` holds."""
    assert callable(test)
    deadline = time.monotonic() + 10
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_s2_starttls_throws_away_what_came_in_clear(served: Served, password: str) -> None:
    """S2, RFC 9051 §6.2.1: a command put behind STARTTLS in one write is never run; the session begins anew inside TLS."""
    wire = Wire(served.port)
    wire.line()
    wire.send(b"a STARTTLS\r\nb LOGIN cv1@vpubnd.camau.example " + password.encode() + b"\r\nc NOOP\r\n")
    assert wire.line() == b"a OK Begin TLS now"
    context = ssl.create_default_context(cafile=served.ca)
    inside = context.wrap_socket(wire.socket, server_hostname="localhost")
    inside.sendall(b'd LIST "" *\r\n')
    assert inside.recv(1000).startswith(b"d BAD Please sign in first")
    inside.sendall(b"e CAPABILITY\r\n")
    answer = inside.recv(1000)
    assert b"STARTTLS" not in answer
    assert b"AUTH=PLAIN" in answer
    inside.close()


def test_starttls_twice_is_refused(served: Served) -> None:
    """Inside TLS there is no STARTTLS."""
    context = ssl.create_default_context(cafile=served.ca)
    raw = socket.create_connection(("127.0.0.1", served.tls_port))
    with context.wrap_socket(raw, server_hostname="localhost") as inside:
        inside.recv(1000)
        inside.sendall(b"a STARTTLS\r\n")
        assert inside.recv(1000).startswith(b"a BAD")


def test_s4_a_flood_before_signing_in_costs_no_memory(served: Served) -> None:
    """S4: an endless line is cut off at the limit, from many connections at once."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        wire = Wire(served.port)
        with pytest.raises(OSError):  # noqa: PT012 - the server closes somewhere in the middle
            for _ in range(400):
                wire.send(b"x" * 65536)
        wire.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    eventually(lambda: not served.server.connections)


def test_many_commands_before_signing_in_end_the_connection(served: Served) -> None:
    """Somebody who only talks is sent away."""
    wire = Wire(served.port)
    wire.send(b"a NOOP\r\n" * 100)
    lines = []
    while (line := wire.line()) is not None:
        lines.append(line)
    assert lines[-1] == b"* BYE Too many commands"
    assert len(lines) < 60


def test_five_wrong_passwords_end_the_connection(served: Served) -> None:
    """Guessing on one connection ends."""
    wire = Wire(served.port)
    wire.line()
    for _ in range(4):
        assert b" NO [" in wire.command("LOGIN cv2@vpubnd.camau.example wrong")[-1]
    wire.send(b"z LOGIN cv2@vpubnd.camau.example wrong\r\n")
    while (line := wire.line()) is not None:
        assert line.startswith(b"z NO ")


def test_s8_bad_sign_ins_do_not_block_others(served: Served, password: str) -> None:
    """S8: a thousand malformed AUTHENTICATE beside, and another signs in as ever."""
    stop = threading.Event()

    def attack() -> None:
        while not stop.is_set():
            wire = Wire(served.port)
            wire.send(b"".join(b"a%d AUTHENTICATE PLAIN %b\r\n" % (n, b"\xff\xc3" * 20) for n in range(40)))
            wire.until(b"a39")
            wire.close()

    threads = [threading.Thread(target=attack) for _ in range(4)]
    for one in threads:
        one.start()
    began = time.monotonic()
    for _ in range(5):
        signed_in(served, password).close()
    spent = time.monotonic() - began
    stop.set()
    for one in threads:
        one.join()
    assert spent < 5


def test_a_slow_reader_is_waited_for(serve: Starter, password: str) -> None:
    """Who does not read gets no more made: the server's queue stays small, others are served meanwhile."""
    served = serve(limit=8 * 1024 * 1024)
    served.put(message("lớn", size=4 * 1024 * 1024))
    wire = signed_in(served, password)
    wire.command("SELECT INBOX")
    wire.send(b"".join(b"f%d FETCH 1 BODY.PEEK[]\r\n" % n for n in range(10)))
    other = signed_in(served, password, "cv2")
    assert other.command("NOOP")[-1] == b"t OK Done"

    def queued() -> int:
        return max(
            (one._transport.get_write_buffer_size() for one in served.server.connections if one._transport),
            default=0,
        )

    eventually(lambda: queued() > 0)
    assert queued() < 6 * 1024 * 1024
    lines = wire.until(b"f9")
    assert [one for one in lines if one.startswith(b"f")] == [b"f%d OK Done" % n for n in range(10)]


def test_a_reset_in_the_middle_is_forgotten(served: Served, password: str) -> None:
    """A client that goes away in an answer leaves nothing behind: no session, no watcher."""
    served.fill(50)
    for _ in range(10):
        wire = signed_in(served, password)
        wire.command("SELECT INBOX")
        wire.send(b"a FETCH 1:* BODY[]\r\nb IDLE\r\n")
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
    eventually(lambda: not served.server.connections)
    eventually(lambda: not any(served.server.services.sessions.values()))
    assert not served.server._watching


def test_silence_is_ended_and_idlers_are_kept(served: Served, password: str) -> None:
    """Q25, Q26: 60 s before signing in, 30 minutes after; an idler hears from us every 9.5 minutes."""
    silent, person, idler = Wire(served.port), signed_in(served, password), signed_in(served, password)
    silent.line()
    idler.send(b"i IDLE\r\n")
    assert idler.line() == b"+ idling"
    assert len(served.server.connections) == 3

    async def later(seconds: float) -> None:
        now = served.loop.time() + seconds
        for one in list(served.server.connections):
            one.sweep(now)

    served.run(later(61))
    assert silent.line() == b"* BYE Nobody signed in"
    assert person.command("NOOP")[-1] == b"t OK Done"
    served.run(later(571))
    assert idler.line() == b"* OK Still here"
    served.run(later(1801))
    assert person.line() == b"* BYE Nothing was heard for 30 minutes"
    idler.send(b"DONE\r\n")
    while (line := idler.line()) != b"i OK Done":
        assert line == b"* OK Still here"


def test_q27_connections_are_counted_by_person(served: Served, password: str) -> None:
    """Q27: a hundred for one person, whatever the address; the next gets NO [LIMIT], then one ends and it fits."""
    wires = [signed_in(served, password) for _ in range(served.server.services.sessions_per_account)]
    extra = Wire(served.port)
    extra.line()
    login = f"LOGIN {served.person('cv1').address} {password}"
    assert b"NO [LIMIT]" in extra.command(login)[-1]
    signed_in(served, password, "cv2").close()
    wires[0].command("LOGOUT")
    eventually(lambda: served.server.services.sessions[served.person("cv1").ref] < len(wires))
    assert b" OK " in extra.command(login)[-1]
    for one in [*wires, extra]:
        one.close()


def test_rules_judge_what_goes_into_a_shared_mailbox(served: Served, password: str) -> None:
    """APPEND, COPY, MOVE into the registry mailbox ask the rules: NO [ALERT], or OK and an ALERT; own ones don't."""
    wire = signed_in(served, password, "vt1")
    box = f"Shared/{served.province.home.registry_address}"
    data = message("vào sổ")
    append = b"APPEND %b {%d+}\r\n%b" % (box.encode(), len(data), data)
    assert b"APPENDUID" in wire.command(append)[-1]
    assert served.judged == [(served.person("vt1").address, "INBOX", data)]
    served.warn = "R-MAIL-01: thiếu trích yếu"
    lines = wire.command(append)
    assert lines[0].startswith(b"* OK [ALERT] R-MAIL-01")
    served.refuse = Refused("rule", "Không được", "Not allowed", rule="R-MAIL-02")
    assert b"t NO [ALERT] " in wire.command(append)[-1]
    wire.command(append.replace(box.encode(), b"INBOX"))
    wire.command("SELECT INBOX")
    for verb in ("COPY", "MOVE"):
        assert b"t NO [ALERT] " in wire.command(f"{verb} 1 {box}")[-1]
    found = served.store.find(served.province.home.registry, "INBOX")
    assert found is not None
    assert len(served.store.uid_map(found)) == 2


def test_a_damaged_message_does_not_hide_the_others(served: Served, password: str) -> None:
    """A message whose bytes are broken is passed over, the rest is given, and the end says so."""
    served.fill(3)
    path = served.province.segments.path(served.province.segments.numbers()[-1])
    raw = bytearray(path.read_bytes())
    raw[len(raw) - len(raw.rstrip(b"\0")) and len(raw.rstrip(b"\0")) - 5] ^= 0xFF
    path.write_bytes(bytes(raw))
    wire = signed_in(served, password)
    wire.command("SELECT INBOX")
    lines = wire.command("FETCH 1:* BODY.PEEK[]")
    assert len([one for one in lines if one.startswith(b"* ") and b"FETCH" in one]) == 2
    assert b"NO [SERVERBUG]" in lines[-1]
    assert wire.command("FETCH 1:* FLAGS")[-1] == b"t OK Done"


def test_half_closed_connections_get_their_answers(served: Served, password: str) -> None:
    """``printf … | nc``: the client stops writing, every answer still comes."""
    wire = Wire(served.port)
    wire.send(f"a LOGIN {served.person('cv1').address} {password}\r\nb SELECT INBOX\r\nc NOOP\r\n".encode())
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.until(b"c")[-1] == b"c OK Done"
    assert wire.line() is None


def test_shutting_down_says_bye(serve: Starter, password: str) -> None:
    """Stopping is said to everybody."""
    served = serve()
    wire = signed_in(served, password)
    served.run(served.server.stop())
    assert wire.line() == b"* BYE The server is going down"
    assert wire.line() is None
