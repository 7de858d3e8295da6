# SPDX-License-Identifier: AGPL-3.0-or-later
"""An IMAP server as a source: the one adapter around aioimaplib (DESIGN 4.6).

aioimaplib reads a reply by recursion, a step a line, and drops ``* `` inside untagged lines; so replies
are asked for in small pages, and nothing but flags, dates, sizes and literals is taken from a line.
"""

from __future__ import annotations

import asyncio
import calendar
import contextlib
import logging
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import aioimaplib

from config.refusal import Refused, Unavailable
from mailserver.imap.grammar.names import decode_name, encode_name
from mailserver.importing.source import LARGEST, Folder, Message, folder_name

_PAGE = 25
_PAGE_BYTES = 4 * 1024 * 1024
_SIZES_AT_ONCE = 200
_TIMEOUT_S = 120.0
_LISTED = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?P<sep>(?:\\.|[^"\\])*)"|NIL) ?(?P<name>.*)$', re.S)
_FETCHED = re.compile(rb"\d+ FETCH \((?P<items>.*)$", re.S)
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_DATE = re.compile(rb'INTERNALDATE "[ ]?(\d{1,2})-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
_USES = {"\\sent", "\\drafts", "\\trash", "\\junk", "\\archive"}
_NOT_READ = {"\\noselect", "\\nonexistent", "\\all", "\\flagged", "\\important"}
"""Not folders, or views of messages that lie in other folders."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the old mail is: parts of ``imaps://user@host:port/FOLDER`` (no FOLDER: all)."""

    host: str
    port: int
    tls: bool
    user: str
    folder: str

    @classmethod
    def parse(cls, url: str, *, plaintext: bool = False) -> Place:
        """Read a URL (RFC 5092 §3). Raises `Refused`; without TLS only when ``plaintext`` allows it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as problem:
            raise _bad_url(url) from problem
        if parts.scheme not in ("imap", "imaps") or not parts.hostname or not parts.username:
            raise _bad_url(url)
        tls = parts.scheme == "imaps"
        if not tls and not plaintext and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise Refused(
                "no-tls",
                "Địa chỉ imap:// gửi mật khẩu không mã hóa. Dùng imaps://, hoặc thêm --plaintext nếu chấp nhận.",
                "imap:// sends the password in clear. Use imaps://, or add --plaintext if you accept that.",
            )
        folder = unquote(parts.path.lstrip("/"))
        return cls(parts.hostname, port or (993 if tls else 143), tls, unquote(parts.username), folder)


class ImapSource:
    """Reads one account of an IMAP server. Use as an asynchronous context manager."""

    def __init__(self, place: Place, password: str, ca: str | None = None) -> None:
        self.key = f"imap {place.user}@{place.host}:{place.port}"
        self._place, self._password, self._ca = place, password, ca
        self._client: Any = None

    async def __aenter__(self) -> ImapSource:
        """Connect and sign in. Raises `Refused` for a wrong password, `Unavailable` for no connection."""
        logging.getLogger("aioimaplib").setLevel(logging.WARNING)  # at DEBUG it logs mail and passwords
        place = self._place
        if place.tls:
            context = ssl.create_default_context(cafile=self._ca)
            self._client = aioimaplib.IMAP4_SSL(
                place.host, place.port, timeout=_TIMEOUT_S, ssl_context=context
            )
        else:
            self._client = aioimaplib.IMAP4(place.host, place.port, timeout=_TIMEOUT_S)
        async with self._failing():
            await self._client.wait_hello_from_server()
            answer = await self._client.login(_quoted(place.user), self._password)
        if answer.result != "OK":
            raise Refused(
                "import-sign-in",
                f"Máy chủ cũ không nhận tài khoản {place.user}. Kiểm tra mật khẩu (có thể cần mật khẩu ứng dụng).",
                f"The old server does not accept {place.user}. Check the password (it may want an app password).",
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Sign out."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.logout(), 5)

    async def folders(self) -> list[Folder]:
        """Every folder that can be opened, in the server's order; INBOX first."""
        pattern = encode_name(self._place.folder).decode() if self._place.folder else "*"
        async with self._failing():
            answer = await self._client.list('""', _quoted(pattern))
        found = []
        for path, words, separator in _listed(answer.lines):
            if words & _NOT_READ:
                continue
            name, known = folder_name(
                decode_name(path).split(separator) if separator else [decode_name(path)]
            )
            use = next((one for one in sorted(_USES) if one in words), None)
            found.append((path, name, f"\\{use[1:].capitalize()}" if use else known))
        found.sort(key=lambda one: one[1] != "INBOX")
        opened = [await self._opened(path, name, use) for path, name, use in found]
        return [one for one in opened if one is not None]

    async def messages(self, folder: Folder, after: int) -> AsyncIterator[list[Message]]:
        """Pages of whole messages, the next one being fetched while one is stored."""
        await self._select(folder.path)
        async with self._failing():
            answer = await self._client.uid_search("UID", f"{after + 1}:*", charset=None)
        uids = sorted({int(one) for one in answer.lines[0].split() if one.isdigit() and int(one) > after})
        coming: asyncio.Task[list[Message]] | None = None
        try:
            for start in range(0, len(uids), _SIZES_AT_ONCE):
                for page in _pages(await self._sizes(uids[start : start + _SIZES_AT_ONCE])):
                    before, coming = coming, asyncio.create_task(self._fetch(page))
                    if before is not None:
                        yield await before
                if coming is not None:  # the next sizes go over the same connection
                    ready, coming = await coming, None
                    yield ready
        finally:
            if coming is not None:
                coming.cancel()

    async def _opened(self, path: bytes, name: str, use: str | None) -> Folder | None:
        lines = await self._select(path)
        if lines is None:
            return None
        count = next((int(one.split()[0]) for one in lines if one.endswith(b" EXISTS")), 0)
        validity = next(
            (re.search(rb"UIDVALIDITY (\d+)", one) for one in lines if b"UIDVALIDITY" in one), None
        )
        return Folder(path.decode("utf-8", "replace"), name, use, int(validity[1]) if validity else 0, count)

    async def _select(self, path: bytes | str) -> list[bytes] | None:
        text = path if isinstance(path, str) else path.decode("utf-8", "replace")
        async with self._failing():
            answer = await self._client.select(_quoted(text))
        return [bytes(one) for one in answer.lines] if answer.result == "OK" else None

    async def _sizes(self, uids: list[int]) -> list[tuple[int, int]]:
        async with self._failing():
            answer = await self._client.uid("fetch", _set(uids), "(UID RFC822.SIZE)")
        told = {}
        for line in answer.lines:
            uid, size = _number(rb"UID", line), _number(rb"RFC822.SIZE", line)
            if uid is not None and size is not None:
                told[uid] = size
        return [(uid, told[uid]) for uid in uids if uid in told]

    async def _fetch(self, page: list[tuple[int, int]]) -> list[Message]:
        wanted = [uid for uid, size in page if size <= LARGEST]
        got: dict[int, Message] = {}
        if wanted:
            async with self._failing():
                answer = await self._client.uid(
                    "fetch", _set(wanted), "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"
                )
            got = {one.uid: one for one in _fetched(answer.lines)}
        sizes = dict(page)
        return [got.get(uid) or _missing(uid, sizes[uid]) for uid, _ in page]

    @contextlib.asynccontextmanager
    async def _failing(self) -> AsyncIterator[None]:
        try:
            yield
        except (TimeoutError, OSError, aioimaplib.AioImapException, RecursionError) as problem:
            raise Unavailable(
                "import-source-gone",
                f"Máy chủ cũ {self._place.host} không trả lời ({type(problem).__name__}). Chạy lại lệnh để chép tiếp.",
                f"The old server {self._place.host} does not answer ({type(problem).__name__}: {problem}). "
                "Run the command again to go on.",
            ) from problem


def _missing(uid: int, size: int) -> Message:
    why = f"larger than {LARGEST} bytes" if size > LARGEST else "the server did not give it"
    return Message(uid, frozenset(), 0, size, None, why)


def _listed(lines: list[bytes]) -> list[tuple[bytes, set[str], str]]:
    """(path, lower-case attributes, separator) of each LIST line."""
    found: list[tuple[bytes, set[str], str]] = []
    for line in lines:
        if isinstance(line, bytearray) and found and not found[-1][0]:
            found[-1] = (bytes(line), *found[-1][1:])
            continue
        match = _LISTED.match(bytes(line))
        if match is None:
            continue
        words = set(match["flags"].decode("ascii", "replace").lower().split())
        separator = re.sub(rb"\\(.)", rb"\1", match["sep"] or b"").decode("ascii", "replace")
        name = match["name"]
        if re.fullmatch(rb"\{\d+\+?\}", name):
            name = b""  # the literal comes next
        elif name.startswith(b'"'):
            name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
        found.append((name, words, separator))
    return [one for one in found if one[0]]


def _fetched(lines: list[bytes]) -> list[Message]:
    """Messages of a FETCH reply: a line, the literal, what follows it up to the next line of a message."""
    found: list[Message] = []
    items, body = b"", None
    for line in [*lines, b"0 FETCH ("]:
        if isinstance(line, bytearray):
            body = bytes(line)
            continue
        begins = _FETCHED.match(line)
        if begins is None:
            items += b" " + line
            continue
        uid = _number(rb"UID", items)
        if uid is not None and body is not None:
            flags = re.search(rb"FLAGS \(([^)]*)\)", items)
            words = flags[1].decode("ascii", "replace").split() if flags else []
            size = _number(rb"RFC822.SIZE", items)
            found.append(Message(uid, frozenset(words), _moment(items), size or len(body), body))
        items, body = begins["items"], None
    return found


def _number(item: bytes, line: bytes) -> int | None:
    match = re.search(rb"(?:^|[ (])" + re.escape(item) + rb" (\d+)", bytes(line))
    return int(match[1]) if match else None


def _moment(items: bytes) -> int:
    """INTERNALDATE (RFC 9051 §9 date-time) in µs UTC; 0 when it can't be read."""
    match = _DATE.search(items)
    month = _MONTHS.get(match[2].decode().title()) if match else None
    if match is None or month is None:
        return 0
    day, year, hour, minute, second = (int(match[part]) for part in (1, 3, 4, 5, 6))
    away = (int(match[8]) * 60 + int(match[9])) * (60 if match[7] == b"+" else -60)
    return (calendar.timegm((year, month, day, hour, minute, second)) - away) * 1_000_000


def _pages(sizes: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    pages: list[list[tuple[int, int]]] = []
    held = 0
    for uid, size in sizes:
        if not pages or len(pages[-1]) >= _PAGE or held + size > _PAGE_BYTES:
            pages.append([])
            held = 0
        pages[-1].append((uid, size))
        held += size
    return pages


def _set(uids: list[int]) -> str:
    return ",".join(map(str, uids))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bad_url(url: str) -> Refused:
    return Refused(
        "import-address",
        f"Không hiểu địa chỉ {url}. Viết dạng imaps://ten@may-chu/INBOX.",
        f"The address {url} is not understood. Write imaps://user@host/INBOX.",
    )
