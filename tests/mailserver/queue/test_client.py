# SPDX-License-Identifier: AGPL-3.0-or-later
"""The SMTP client against servers that misbehave."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.queue import client as module
from mailserver.queue.client import Answer, Broken, Letter, SmtpClient, To, wire_form
from mailserver.queue.routes import Route

HELLO = b"220 x\r\n250-x\r\n250-SIZE 5000\r\n250 DSN\r\n"
LETTER = Letter("a@b.example", (To("c@d.example", "FAILURE", "rfc822;é"),), b"x\r\n.\r\n", "id=1")


def against(script: list[bytes], letter: Letter | None = LETTER) -> tuple[list[Answer], bytes]:
    """Speak to a server that says ``script``: the first at once, then one for each line it reads."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for says in script:
            writer.write(says)
            line = await reader.readline()
            heard.extend(line)
            if line == b"DATA\r\n":
                writer.write(b"354 go\r\n")
                heard.extend(await reader.readuntil(b".\r\n"))
        writer.close()

    async def run() -> list[Answer]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            client = await SmtpClient.connect(Route("127.0.0.1", port), "me.example")
            try:
                return await client.send(letter) if letter is not None else []
            finally:
                client.abort()

    return asyncio.run(run()), bytes(heard)


def test_parameters_are_passed_on() -> None:
    answers, heard = against(
        [
            b"220 x\r\n",
            b"250-x\r\n250-SIZE 5000\r\n250 DSN\r\n",
            b"250 a\r\n",
            b"250 b\r\n",
            b"250 2.6.0 done\r\n",
            b"",
        ]
    )
    assert answers == [Answer(250, "2.6.0 done")]
    assert b"MAIL FROM:<a@b.example> SIZE=6 RET=HDRS ENVID=id+3D1\r\n" in heard
    assert b"RCPT TO:<c@d.example> NOTIFY=FAILURE\r\n" in heard


@pytest.mark.parametrize(
    "script",
    [
        [b"554 no service\r\n"],
        [b"SSH-2.0-x\r\n"],
        [],
        [b"220 " + b"x" * 100_000],
        [b"220-x\r\n" * 1000],
        [b"220 x\r\n", b"250-a\r\n" * 500],
        [b"220 x\r\n", b"250 x\r\n", b"421 closing\r\n"],
        [b"220 x\r\n", b"250 x\r\n", b"999 what\r\n"],
        [b"220 x\r\n", b"250 STARTTLS\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"],
        [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"],
    ],
)
def test_broken_servers(script: list[bytes]) -> None:
    with pytest.raises(Broken):
        against(script)


def test_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMMAND_S", 0.2)

    async def run() -> None:
        server = await asyncio.start_server(lambda r, w: asyncio.sleep(5), "127.0.0.1", 0)
        async with server:
            await SmtpClient.connect(Route("127.0.0.1", server.sockets[0].getsockname()[1]), "me")

    with pytest.raises(Broken, match="no answer in time"):
        asyncio.run(run())


def test_smtputf8_is_needed_for_such_recipients() -> None:
    letter = Letter("a@b.example", (To("thư@d.example"),), b".\r\n")
    answers, _ = against([b"220 x\r\n", b"250 x\r\n", b"250 a\r\n", b"250 reset\r\n", b""], letter)
    assert answers[0].status == "5.6.7"


def test_an_address_can_not_hold_a_command() -> None:
    letter = Letter("a@b.example", (To("x@d.example>\r\nDATA"),), b".\r\n")
    with pytest.raises(ValueError, match="controls"):
        against([b"220 x\r\n", b"250 x\r\n", b"250 a\r\n", b"250 b\r\n"], letter)


def test_status() -> None:
    assert Answer(550, "5.1.1 no").status == "5.1.1"
    assert Answer(550, "no such user").status == "5.0.0"
    assert Answer(451, "5.1.1 odd").status == "4.0.0"


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\r\n.\r\n"]), max_size=40).map(b"".join)
)
def test_wire_form_is_always_one_message(content: bytes) -> None:
    """S1, outbound: no bare CR or LF, no end of data but the last (RFC 5321 §2.3.8)."""
    wire = wire_form(content)
    pairs = wire.count(b"\r\n")
    assert pairs == wire.count(b"\r") == wire.count(b"\n")
    assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - 3
