# SPDX-License-Identifier: AGPL-3.0-or-later
"""S37: MTA-STS: what a policy is, how it is fetched and kept, and that nothing falls back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.database import Database
from config.refusal import Refused
from mailserver.dns import Resolver
from mailserver.queue.client import Broken, SmtpClient
from mailserver.queue.exchangers import Exchangers, NotNow
from mailserver.senderauth.mta_sts import FetchFailed, HttpsFetch, TlsPolicies, parse
from mailserver.senderauth.schema import tls_policy
from tests.mailserver.dns.serving import Zone, serving_dns
from tests.mailserver.senderauth.certificates import server_context

GOOD = "version: STSv1\r\nmode: enforce\r\nmx: mx.dongnai.example\r\nmx: *.mail.dongnai.example\r\nmax_age: 86400\r\n"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (GOOD, "enforce"),
        (GOOD.replace("\r\n", "\n"), "enforce"),
        (GOOD.replace("enforce", "testing"), "testing"),
        ("version: STSv1\nmode: none\nmax_age: 1", "none"),
        (GOOD + "future: yes\n", "enforce"),
        (GOOD.replace("STSv1", "STSv2"), None),
        (GOOD.replace("enforce", "maybe"), None),
        (GOOD.replace("86400", "forever"), None),
        ("version: STSv1\nmode: enforce\nmax_age: 1", None),
        (GOOD.replace("mx.dongnai.example", "mx..example"), None),
        ("", None),
        ("mx: a.example\n" * 1000 + GOOD, None),
    ],
)
def test_policies(text: str, mode: str | None) -> None:
    if mode is None:
        with pytest.raises(FetchFailed):
            parse(text)
    else:
        assert parse(text).mode == mode


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mx.dongnai.example", True),
        ("MX.dongnai.example.", True),
        ("a.mail.dongnai.example", True),
        ("a.b.mail.dongnai.example", False),
        ("mail.dongnai.example", False),
        ("mx.evil.example", False),
    ],
)
def test_names_of_servers(host: str, allowed: bool) -> None:
    assert parse(GOOD).allows(host) is allowed


class Fetching:
    """Counts and answers."""

    def __init__(self) -> None:
        self.count, self.text = 0, GOOD

    async def __call__(self, domain: str) -> str:
        self.count += 1
        if not self.text:
            raise FetchFailed("down")
        return self.text


def test_a_policy_is_kept_and_fetched_again_only_for_a_new_id(database: Database) -> None:
    zone: Zone = {"_mta-sts.dongnai.example": [("TXT", "v=STSv1; id=1;")]}
    fetch = Fetching()

    def ask(name: str = "dongnai.example") -> str | None:
        async def go() -> str | None:  # a resolver of its own: nothing cached
            found = await TlsPolicies(database, Resolver([server.place], timeout_s=8), fetch).of(name)
            return found.mode if found is not None else None

        return asyncio.run(go())

    with serving_dns(zone) as server:
        assert ask("khac.example") is None
        assert [ask(), ask()] == ["enforce", "enforce"]
        assert fetch.count == 1
        fetch.text = ""
        zone["_mta-sts.dongnai.example"] = [("TXT", "v=STSv1; id=2;")]
        assert ask() == "enforce"  # the old one holds
        zone.clear()
        assert ask() == "enforce"  # also when the DNS is silenced
        zone["_mta-sts.dongnai.example"] = [("TXT", "v=STSv1; id=2;")]
        fetch.text = GOOD.replace("enforce", "none")
        assert ask() == "none"
        database.write(lambda conn: conn.execute(sa.update(tls_policy).values(until_us=1)))
        zone.clear()
        assert ask() is None


@asynccontextmanager
async def https(context: ssl.SSLContext, answer: bytes) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(
            b"GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: mta-sts."
        )
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("named", "answer", "good"),
    [
        (
            "mta-sts.dongnai.example",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + GOOD.encode(),
            True,
        ),
        (
            "www.dongnai.example",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + GOOD.encode(),
            False,
        ),
        ("mta-sts.dongnai.example", b"HTTP/1.1 301 Moved\r\nLocation: https://x.example/\r\n\r\n", False),
        (
            "mta-sts.dongnai.example",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + GOOD.encode(),
            False,
        ),
        (
            "mta-sts.dongnai.example",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 70_000,
            False,
        ),
        ("mta-sts.dongnai.example", b"SMTP?", False),
    ],
)
def test_fetching(tmp_path: Path, named: str, answer: bytes, good: bool) -> None:
    context, ca = server_context(tmp_path, named)

    async def go() -> str:
        with serving_dns({"mta-sts.dongnai.example": [("A", "127.0.0.1")]}) as dns:
            async with https(context, answer) as port:
                trusting = ssl.create_default_context(cafile=str(ca))
                fetch = HttpsFetch(Resolver([dns.place], timeout_s=8), trusting, port)
                return await fetch("dongnai.example")

    if good:
        assert parse(asyncio.run(go())).mode == "enforce"
    else:
        with pytest.raises(FetchFailed):
            asyncio.run(go())


@asynccontextmanager
async def smtp(context: ssl.SSLContext | None) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that greets, offers STARTTLS when it has a certificate, and notes what it hears."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        try:
            while line := await reader.readline():
                heard.append(line.decode().strip())
                if line.upper().startswith(b"STARTTLS"):
                    writer.write(b"220 go\r\n")
                    await writer.start_tls(context)  # type: ignore[arg-type]
                elif line.upper().startswith(b"EHLO"):
                    writer.write(b"250-mx\r\n250 STARTTLS\r\n" if context else b"250 mx\r\n")
                else:
                    writer.write(b"250 ok\r\n")
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


ZONE: Zone = {
    "dongnai.example": [("MX", "10 mx.dongnai.example.")],
    "mx.dongnai.example": [("A", "127.0.0.1")],
    "_mta-sts.dongnai.example": [("TXT", "v=STSv1; id=1;")],
}


@pytest.mark.parametrize(
    ("mode", "certificate", "mx", "reached"),
    [
        ("enforce", "mx.dongnai.example", "mx.dongnai.example", True),
        (
            "enforce",
            "other.example",
            "mx.dongnai.example",
            False,
        ),  # S37: bad certificate → later, never in clear
        ("enforce", None, "mx.dongnai.example", False),  # no TLS offered (a stripped STARTTLS)
        (
            "enforce",
            "mx.dongnai.example",
            "mx.evil.example",
            False,
        ),  # the DNS names a server the policy does not
        ("testing", "other.example", "mx.dongnai.example", True),
        ("none", None, "mx.dongnai.example", True),
    ],
)
def test_enforced_tls_never_falls_back(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, certificate: str | None, mx: str, reached: bool
) -> None:  # fmt: skip
    context, ca = server_context(tmp_path, certificate or "unused.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    zone = {**ZONE, "dongnai.example": [("MX", f"10 {mx}.")], mx: [("A", "127.0.0.1")]}
    fetch = Fetching()
    fetch.text = GOOD.replace("enforce", mode)

    async def go() -> list[str]:
        with serving_dns(zone) as dns:
            async with smtp(context if certificate else None) as (port, heard):
                resolver = Resolver([dns.place], timeout_s=8)
                exchangers = Exchangers(resolver, TlsPolicies(sqlite_database, resolver, fetch), port)
                try:
                    route = await exchangers.route("dongnai.example")
                    client = await SmtpClient.connect(route, "mail.camau.example")
                except (Broken, NotNow):
                    return ["deferred", *heard]
                await client.quit()
                return heard

    heard = asyncio.run(go())
    assert (heard[0] != "deferred") is reached
    assert not any(line.startswith("MAIL") for line in heard)


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([("MX", "20 b.x.example."), ("MX", "10 a.x.example.")], ["a.x.example", "b.x.example"]),
        ([("MX", "0 .")], "5.1.10"),
        ([("A", "127.0.0.1")], ["x.example"]),
        ([("TXT", "nothing")], "5.1.2"),
        ([("MX", "10 none.x.example.")], "4.4.4"),
        ([("SERVFAIL", "")], "4.4.3"),
    ],
)
def test_servers_of_a_domain(
    sqlite_database: Database, records: list[tuple[str, str]], found: object
) -> None:
    zone: Zone = {
        "x.example": records,
        "a.x.example": [("A", "127.0.0.1")],
        "b.x.example": [("A", "127.0.0.2")],
    }

    async def go() -> object:
        with serving_dns(zone) as dns:
            resolver = Resolver([dns.place], timeout_s=8)
            exchangers = Exchangers(resolver, TlsPolicies(sqlite_database, resolver, Fetching()))
            try:
                return [one.host for one in (await exchangers.route("x.example")).servers]
            except NotNow as problem:
                return str(problem).split()[0]
            except Refused as problem:
                return problem.en.split()[0]

    assert asyncio.run(go()) == found
