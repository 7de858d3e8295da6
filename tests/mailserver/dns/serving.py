# SPDX-License-Identifier: AGPL-3.0-or-later
"""A DNS server on loopback, UDP and TCP on one port, that answers from a dictionary."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = dict[str, list[tuple[str, str]]]
"""Name (lower case, no last dot) → records as (type, text); types ``SERVFAIL`` and ``SILENT`` are what they say."""


def quoted(text: str) -> str:
    """TXT strings of at most 255 octets."""
    raw = text.encode("utf-8")
    parts = [raw[start : start + 255] for start in range(0, len(raw), 255)] or [b""]
    return " ".join(
        '"'
        + "".join(f"\\{one:03d}" if one < 33 or one > 126 or one in b'"\\' else chr(one) for one in part)
        + '"'
        for part in parts
    )


class DnsServer:
    """Serves ``zone``, which may be changed while it runs; ``asked`` lists the questions."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                answer = outer.answer(data, udp=True)
                if answer is not None:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                head = self.request.recv(2)
                if len(head) == 2:
                    answer = outer.answer(self.request.recv(struct.unpack("!H", head)[0]), udp=False)
                    if answer is not None:
                        self.request.sendall(struct.pack("!H", len(answer)) + answer)

        for _ in range(20):
            self._udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
            try:
                self._tcp = socketserver.ThreadingTCPServer(self._udp.server_address, Tcp)
                break
            except OSError:
                self._udp.server_close()
        self._tcp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.place = f"127.0.0.1:{self._udp.server_address[1]}"
        for one in (self._udp, self._tcp):
            one.daemon_threads = True
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, data: bytes, *, udp: bool) -> bytes | None:
        """One answer; None for silence."""
        question = dns.message.from_wire(data)
        asked = question.question[0]
        name = b".".join(asked.name.labels[:-1]).decode("latin-1").lower()
        kind = dns.rdatatype.to_text(asked.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(question)
        response.flags |= dns.flags.RA
        records = self.zone.get(name)
        if records is None:
            below = any(one.endswith("." + name) for one in self.zone)
            response.set_rcode(dns.rcode.NOERROR if below else dns.rcode.NXDOMAIN)
        else:
            kinds = [one for one, _ in records]
            if "SILENT" in kinds:
                return None
            if "SERVFAIL" in kinds:
                response.set_rcode(dns.rcode.SERVFAIL)
            else:
                where = asked.name
                for _ in range(8):
                    alias = [text for one, text in records if one == "CNAME"]
                    if not alias:
                        break
                    response.answer.append(dns.rrset.from_text(where, 60, "IN", "CNAME", alias[0]))
                    where = dns.name.from_text(alias[0])
                    records = self.zone.get(where.to_text(omit_final_dot=True).lower(), [])
                texts = [quoted(text) if kind == "TXT" else text for one, text in records if one == kind]
                if texts:
                    response.answer.append(dns.rrset.from_text_list(where, 60, "IN", kind, texts))
        wire = response.to_wire(max_size=65535)
        if udp and len(wire) > 1232:
            cut = dns.message.make_response(question)
            cut.flags |= dns.flags.TC
            wire = cut.to_wire()
        return wire

    def stop(self) -> None:
        """End it."""
        for one in (self._udp, self._tcp):
            one.shutdown()
            one.server_close()


@contextmanager
def serving_dns(zone: Zone) -> Iterator[DnsServer]:
    """Serve a zone."""
    server = DnsServer(zone)
    try:
        yield server
    finally:
        server.stop()
