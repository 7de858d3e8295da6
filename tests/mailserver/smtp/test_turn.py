# SPDX-License-Identifier: AGPL-3.0-or-later
"""Large messages have their turn in memory; a DNS that does not answer about one does not hold up the next."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import Dns, Hygiene
from tests.conftest import Province
from tests.mailserver.smtp.serving import Serving, Talk, serving, settings_for
from tests.mailserver.smtp.talking import begin

LARGE = b"Subject: l\r\n\r\n" + (b"x" * 998 + b"\r\n") * 1500


class Silent:
    """A name server that hears and answers nothing until `speak`. ``asked``: label → when it was asked about."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.asked = {b"mot": threading.Event(), b"hai": threading.Event()}
        self._lock, self._speaks, self._heard = threading.Lock(), False, list[tuple[bytes, object]]()
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        while True:
            try:
                packet, where = self.socket.recvfrom(4096)
            except OSError:
                return
            with self._lock:
                self._heard.append((packet, where))
                if self._speaks:
                    self._answer()
            for label, event in self.asked.items():
                if label in packet:
                    event.set()

    def speak(self) -> None:
        """Answer everything, also what was asked before: there is no such name."""
        with self._lock:
            self._speaks = True
            self._answer()

    def _answer(self) -> None:
        for packet, where in self._heard:
            self.socket.sendto(packet[:2] + b"\x81\x83" + packet[4:], where)  # type: ignore[arg-type]
        self._heard.clear()


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.socket.close()


@pytest.fixture
def asking(small_province: Province, tmp_path: Path, silent: Silent) -> Iterator[Serving]:
    host, port = silent.socket.getsockname()
    settings = replace(
        settings_for(tmp_path),
        dns=Dns(enabled=True, servers=[f"{host}:{port}"], timeout=60.0),
        hygiene=Hygiene(trusted_networks=[], check_seconds=60.0),
    )
    with serving(small_province, tmp_path, settings) as made:
        yield made


def test_a_silent_dns_holds_up_only_its_own_message(asking: Serving, silent: Silent) -> None:
    spool = asking.server._spool
    room = spool.memory.left, spool.disk.left, spool.aside.left
    with Talk(asking.mx) as first, Talk(asking.mx) as second:
        for talk, sender in ((first, "a@mot.example"), (second, "b@hai.example")):
            begin(talk, sender=sender)
            assert talk.ask("DATA").startswith("354")
            talk.send(LARGE + b".\r\n")
            assert silent.asked[sender[2:5].encode()].wait(20)
        assert not select.select([first.socket], [], [], 0)[
            0
        ]  # the second is looked at while the first waits
        silent.speak()
        assert first.reply().startswith("250")
        assert second.reply().startswith("250")
    assert (spool.memory.left, spool.disk.left, spool.aside.left) == room
    assert not spool.turn.locked()
