# SPDX-License-Identifier: AGPL-3.0-or-later
"""A process of ours is stopped in its turn to write: programs hear NO [UNAVAILABLE], reading goes on."""

from __future__ import annotations

import imaplib
import threading
import time
from pathlib import Path

from tests.conftest import Province
from tests.mailserver.imap.conftest import Starter, message
from tests.mailserver.stopping import PATIENCE_S, impatient, stopped


def test_changes_wait_for_a_while_and_reading_goes_on(
    serve: Starter, small_province: Province, tmp_path: Path, password: str
) -> None:
    lock = impatient(small_province, tmp_path)
    served = serve()
    served.fill(2)

    def signed_in() -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", served.port)
        client.login(served.person("cv1").address, password)
        client.select("INBOX")
        return client

    one, two, reader = signed_in(), signed_in(), signed_in()
    heard: list[str] = []

    def told(answer: tuple[str, list[bytes]]) -> None:
        heard.append(f"{answer[0]} {answer[1][0].decode()}")

    with stopped(small_province.database.url, lock) as process:
        threads = [
            threading.Thread(target=lambda: told(one.append("INBOX", "", "", message("mới")))),  # type: ignore[arg-type]
            threading.Thread(target=lambda: told(two.store("1", "+FLAGS", "(\\Seen)"))),
        ]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        assert reader.fetch("1:*", "(FLAGS)")[0] == "OK"
        assert time.monotonic() - began < PATIENCE_S / 2
        for thread in threads:
            thread.join(5 * PATIENCE_S)
        assert len(heard) == 2
        assert all(
            f"NO [UNAVAILABLE] Một tiến trình khác của hệ thống ({process.pid})" in one for one in heard
        ), heard
    assert one.append("INBOX", "", "", message("mới"))[0] == "OK"  # type: ignore[arg-type]
    assert two.store("1", "+FLAGS", "(\\Seen)")[0] == "OK"
    assert reader.select("INBOX")[1][-1] == b"3"
