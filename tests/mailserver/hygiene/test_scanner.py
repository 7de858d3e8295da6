# SPDX-License-Identifier: AGPL-3.0-or-later
"""The scanner hook against a real clamd with a signature of our own; and against scanners that are late, gone or odd."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from config.refusal import Unavailable
from mailserver.hygiene import Verdict
from mailserver.hygiene.scanner import Scanned, Scanner
from tests.mailserver.hygiene.conftest import Start
from tests.mailserver.hygiene.test_door import HERE, give, verdict
from tests.mailserver.senderauth.letters import LETTER, signed
from tests.mailserver.senderauth.test_dkim import ED

BAD = b"ma-doc-thu-nghiem-cong-van"
"""What the test's signature finds, also inside a base64 part."""


@pytest.fixture(scope="module")
def clamd() -> Iterator[Path]:
    """A clamd of our own with one signature; its socket."""
    program = shutil.which("clamd")
    assert program, "clamd is missing: apt-get install clamav-daemon"
    folder = Path(tempfile.mkdtemp(prefix="cvclam"))
    (folder / "db").mkdir()
    (folder / "db" / "own.ndb").write_text(f"Congvan.Test:0:*:{BAD.hex()}\n")
    where = folder / "clamd.sock"
    (folder / "conf").write_text(
        f"LocalSocket {where}\nDatabaseDirectory {folder / 'db'}\nForeground yes\nUser root\n"
        f"TemporaryDirectory {folder}\nStreamMaxLength 2M\nLogFile {folder / 'log'}\n"
    )
    process = subprocess.Popen(
        [program, "-c", str(folder / "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            if where.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert where.exists(), (
            (folder / "log").read_text() if (folder / "log").exists() else "clamd did not start"
        )
        yield where
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def scanner(address: object, *, closed: bool = True, seconds: float = 30, most: int = 10**7) -> Scanner:
    return Scanner(str(address), fail_closed=closed, timeout_s=seconds, most_bytes=most)


def test_a_real_clamd_tells_clean_from_bad(clamd: Path) -> None:
    attached = (
        b"MIME-Version: 1.0\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    inside = attached + base64.encodebytes(b"\x00" * 100 + BAD).replace(b"\n", b"\r\n")

    async def go() -> list[Scanned]:
        chosen = scanner(clamd)
        return [await chosen.scan(one) for one in (LETTER, LETTER + BAD, b"From: a@b\r\n" + inside, b"")]

    clean, bad, hidden, empty = asyncio.run(go())
    assert clean == empty == Scanned("clean")
    assert bad.scan == hidden.scan == "malware"
    assert bad.malware.startswith("Congvan.Test")


def test_many_at_once(clamd: Path) -> None:
    async def go() -> list[Scanned]:
        chosen = scanner(clamd)
        return await asyncio.gather(*(chosen.scan(LETTER + BAD * (one % 2)) for one in range(40)))

    assert [one.scan for one in asyncio.run(go())] == ["clean", "malware"] * 20


def test_what_clamd_does_not_take_is_not_scanned(clamd: Path) -> None:
    too_large = b"x" * (4 * 1024 * 1024)
    assert asyncio.run(scanner(clamd, closed=False).scan(too_large)) == Scanned("not-scanned")
    with pytest.raises(Unavailable):
        asyncio.run(scanner(clamd).scan(too_large))
    assert asyncio.run(scanner(clamd, closed=False, most=100).scan(LETTER)) == Scanned("not-scanned")


def test_its_version_can_be_asked(clamd: Path) -> None:
    assert asyncio.run(scanner(clamd).version()).startswith("ClamAV")


def test_at_the_door(clamd: Path, start: Start) -> None:
    with start(scanner=str(clamd)) as server:
        assert give(server, signed(LETTER, ED)).startswith("250")
        assert verdict(server).scan == "clean"
        bad = LETTER.replace(b"dongnai", b"khac").replace(
            b"\r\n\r\n", b"\r\nContent-Type: application/octet-stream; name=a.bin\r\n\r\n" + BAD, 1
        )
        answer = give(server, bad)
        assert answer.startswith("550")
        assert "R-REC-13" in answer
        assert len(server.inbox(HERE)) == 1


def test_bad_text_without_a_file_is_refused_too(clamd: Path, start: Start) -> None:
    with start(scanner=str(clamd)) as server:
        assert give(server, LETTER.replace(b"dongnai", b"khac") + BAD + b"\r\n").startswith("550")
        assert not server.inbox(HERE)


@pytest.mark.parametrize(("closed", "code"), [(True, "451"), (False, "250")])
def test_without_its_scanner_mail_waits_or_is_marked(start: Start, closed: bool, code: str) -> None:
    with start(scanner="/nowhere/clamd.sock", scanner_fail_closed=closed) as server:
        assert give(server, signed(LETTER, ED)).startswith(code)
        assert len(server.inbox(HERE)) == (not closed)
        if not closed:
            assert verdict(server).scan == "not-scanned"


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"x" * 100_000)
    writer.close()


async def error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\0\0\0\0")
    writer.write(b"INSTREAM size limit exceeded. ERROR\0")
    writer.close()


async def injects(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\0\0\0\0")
    writer.write(b"stream: Evil <script> FOUND\0")
    writer.close()


@pytest.mark.parametrize("serve", [silent, hangs_up, talks, error])
def test_odd_scanners_are_no_answer(serve: Serve) -> None:
    async def go() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(Unavailable):
                await scanner(f"127.0.0.1:{port}", seconds=0.5).scan(LETTER)
            chosen = scanner(f"127.0.0.1:{port}", closed=False, seconds=0.5)
            assert await chosen.scan(LETTER) == Scanned("not-scanned")
        finally:
            server.close()

    asyncio.run(go())


def test_a_name_of_malware_holds_no_markup() -> None:
    async def go() -> Scanned:
        server = await asyncio.start_server(injects, "127.0.0.1", 0)
        try:
            return await scanner(f"127.0.0.1:{server.sockets[0].getsockname()[1]}").scan(LETTER)
        finally:
            server.close()

    found = asyncio.run(go())
    assert found == Scanned("malware", "Evil ?script?")


def test_a_verdict_survives_packing() -> None:
    one = Verdict(sender="proved", author="so.example", dkim=("pass so.example",), spam=0.5, scan="clean")
    assert Verdict.unpack(one.pack()) == one
