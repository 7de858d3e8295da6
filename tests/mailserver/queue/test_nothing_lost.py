# SPDX-License-Identifier: AGPL-3.0-or-later
"""What was accepted ends in another server's 250 or in a notice, whatever that server does and whoever is killed."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.clock import now_us
from mailserver.delivery import Recipient
from mailserver.store import schema
from mailserver.store.verify import verify_data
from tests.mailserver.queue.conftest import CV1, Carrying, Make
from tests.mailserver.queue.test_crash import _COURIER
from tests.mailserver.smtp.serving import Loop, free_port

MOODS = (
    "drop at once", "421 at once", "554 at once", "garbage", "drop after EHLO", "4xx MAIL", "5xx MAIL", "4xx RCPT",
    "odd RCPT 4xx", "odd RCPT 5xx", "drop at RCPT", "4xx DATA", "5xx DATA", "drop at DATA", "drop in the middle",
    "4xx after the dot", "5xx after the dot", "drop after the dot", "taken, then drop", "slow",
)  # fmt: skip


class Moody:
    """A server that misbehaves as ``moods`` say, one for each connection; without moods it takes everything."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.port = free_port()
        self.moods: list[str] = []
        self.taken: Counter[str] = Counter()
        self.refused: set[str] = set()
        self._server = self.loop.run(self._start())

    async def _start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()

        self.loop.run(end())
        self.loop.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(self.moods.pop(0) if self.moods else "", reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, mood: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = {"drop at once": "", "421 at once": "421 busy", "554 at once": "554 no", "garbage": "SSH-2.0"}
        if mood in first:
            writer.write(first[mood].encode() + b"\r\n" if first[mood] else b"")
            return
        writer.write(b"220 moody\r\n")
        recipients: list[str] = []
        while line := (await reader.readline()).decode():
            verb = line[:4].upper()
            answer = "250 2.0.0 ok"
            if verb == "EHLO":
                if mood == "drop after EHLO":
                    return
                answer = "250-moody\r\n250 DSN"
            elif verb == "MAIL":
                recipients = []
                answer = {"4xx MAIL": "451 4.1.0 no", "5xx MAIL": "550 5.1.0 no"}.get(mood, answer)
            elif verb == "RCPT":
                address = re.search("<(.*?)>", line)[1]  # type: ignore[index]
                odd = int(re.sub(r"\D", "", address.partition("@")[0])) % 2
                if mood == "drop at RCPT":
                    return
                if mood == "4xx RCPT" or (mood == "odd RCPT 4xx" and odd):
                    answer = "450 4.2.1 later"
                elif mood == "odd RCPT 5xx" and odd:
                    answer = "550 5.1.1 unknown"
                    self.refused.add(address)
                else:
                    recipients.append(address)
                if answer.startswith("5"):
                    self.refused.add(address)
            elif verb == "DATA":
                if mood == "drop at DATA":
                    return
                early = {"4xx DATA": "451 4.3.0 no", "5xx DATA": "554 5.6.0 no"}.get(mood)
                if early is None:
                    writer.write(b"354 go\r\n")
                    if mood == "drop in the middle":
                        await reader.readline()
                        return
                    await reader.readuntil(b"\r\n.\r\n")
                    if mood == "drop after the dot":
                        return
                    if mood == "slow":
                        await asyncio.sleep(0.2)
                    final = {"4xx after the dot": "451 4.3.0 no", "5xx after the dot": "554 5.7.1 no"}.get(
                        mood
                    )
                    if final is None:
                        self.taken.update(recipients)
                    if mood == "taken, then drop":
                        return
                    answer = final or answer
                else:
                    answer = early
            elif verb == "QUIT":
                return
            writer.write(answer.encode() + b"\r\n")
            await writer.drain()


@pytest.fixture
def moody() -> Iterator[Moody]:
    made = Moody()
    yield made
    made.stop()


def told(one: Carrying) -> set[str]:
    """The recipients that notices of failure in the sender's inbox name."""
    found: set[str] = set()
    for data in one.mail.inbox(CV1):
        if b"Action: failed" in data:
            found |= {two.decode() for two in re.findall(rb"Final-Recipient: rfc822; (\S+)", data)}
    return found


def make_due(one: Carrying) -> None:
    table = schema.outbound
    one.mail.province.database.write(
        lambda conn: conn.execute(sa.update(table).values(next_us=now_us(), lease_until_us=None))
    )
    one.mail.province.wake.publish("queue")


def check(one: Carrying, moody: Moody, sent: set[str], *, twice: bool) -> None:
    """Everything is taken there, or told here; nothing is in both, nothing in neither."""
    assert sent == set(moody.taken) | told(one)
    assert not set(moody.taken) & told(one)
    if not twice:
        assert set(moody.taken.values()) <= {1}
    province = one.mail.province
    assert verify_data(province.database, province.segments, province.seal).problems == []


@pytest.mark.parametrize("mood", MOODS)
def test_whatever_the_other_server_does(carrying: Make, moody: Moody, mood: str) -> None:
    one = carrying(routes={"*": f"127.0.0.1:{moody.port}"}, connections=1)
    sent = {f"r{number}@e.example" for number in range(4)}
    moody.moods = [mood]
    one.send(*(Recipient(address) for address in sorted(sent)))
    one.start()
    one.until(lambda: not moody.moods and all(row.attempts for row in one.rows()))
    make_due(one)
    one.until(lambda: not one.rows())
    check(one, moody, sent, twice=mood in ("taken, then drop", "drop after the dot"))


def test_killed_again_and_again_while_the_other_server_misbehaves(
    carrying: Make, moody: Moody, tmp_path: Path
) -> None:
    chance = random.Random(5)
    one = carrying(lease_s=1.0, routes={"*": f"127.0.0.1:{moody.port}"})
    sent = {f"r{number}@e.example" for number in range(60)}
    for address in sorted(sent):
        one.send(Recipient(address), data=f"Subject: {address}\r\n\r\n{'x' * 2000}\r\n".encode())
    words = [one.mail.province.database.url, str(tmp_path), f"127.0.0.1:{moody.port}"]
    root = Path(__file__).parents[3]
    for _ in range(5):
        moody.moods = [chance.choice(MOODS) for _ in range(8)]
        left = len(moody.moods)
        make_due(one)
        with subprocess.Popen([sys.executable, "-c", _COURIER, *words], cwd=root) as process:
            one.until(lambda n=left: len(moody.moods) < n or not one.rows(), 20)
            time.sleep(chance.random() * 0.05)
            process.kill()
    moody.moods = []
    time.sleep(0.1)
    make_due(one)
    one.start()

    def finished() -> bool:
        if not one.rows():
            return True
        make_due(one)
        return False

    one.until(finished, 30)
    assert sent == set(moody.taken) | told(one)  # a kill after the 250 sends once more, but never loses
    province = one.mail.province
    assert verify_data(province.database, province.segments, province.seal).problems == []
