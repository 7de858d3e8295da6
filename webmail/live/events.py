# SPDX-License-Identifier: AGPL-3.0-or-later
"""``/events``: unread counts and new letters as server-sent events (WHATWG HTML §9.2), one task an open page.

Events: ``count`` with ``{"place": unread, …}``; ``mail`` with ``{"text": …, "href": …}`` for each new letter in the
inbox. The page's cookie is looked at again every minute, so signing out ends its streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias

from mailserver.accounts import Account, page_sessions
from mailserver.store import SEEN, Ref
from webmail import shown
from webmail.catalogue import Language, say
from webmail.language import COOKIE, chosen
from webmail.live.hub import Hub, TooManyStreams
from webmail.pages.mail.places import Place, places_of
from webmail.parts import Parts
from webmail.sessions import SESSION_COOKIE

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_BEAT_S = 20.0
_LOOK_AGAIN_S = 60.0
_GATHER_S = 0.15


@dataclass(frozen=True, slots=True)
class _Sight:
    """What one look at the mailboxes saw."""

    counts: dict[str, int]
    uidnext: int


@dataclass(slots=True)
class _Line:
    """Whether the page at the other end is gone."""

    gone: bool = False


class Events:
    """The handler of ``/events``."""

    def __init__(self, parts: Parts, hub: Hub) -> None:
        self._parts = parts
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; returns when the page goes away or the session ends."""
        cookies = _cookies(scope)
        token = cookies.get(SESSION_COOKIE, "")
        account = (
            await asyncio.to_thread(page_sessions.holder, self._parts.accounts, token) if token else None
        )
        if account is None or scope["method"] != "GET":
            await _answer(send, 401 if account is None else 405)
            return
        language = chosen(cookies.get(COOKIE), _header(scope, b"accept-language"))
        places = await asyncio.to_thread(places_of, self._parts, account)
        try:
            with self._hub.watch(account.ref, [one.box.ref for one in places]) as changed:
                await _answer(send, 200)
                line = _Line()
                watcher = asyncio.create_task(_watch(receive, changed, line), name="events-watcher")
                try:
                    await self._stream(send, account, token, language, changed, line)
                finally:
                    watcher.cancel()
        except TooManyStreams:
            await _answer(send, 429)

    async def _stream(
        self,
        send: Send,
        account: Account,
        token: str,
        language: Language,
        changed: asyncio.Event,
        line: _Line,
    ) -> None:
        seen = _Sight({}, 0)
        looked = time.monotonic()
        changed.set()
        while not (line.gone or self._hub.closed):
            if changed.is_set():
                changed.clear()
                seen = await self._tell(send, account, language, seen)
            else:
                await _send(send, b": still here\n\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_S):
                    await changed.wait()
            if time.monotonic() - looked > _LOOK_AGAIN_S:
                looked = time.monotonic()
                if await asyncio.to_thread(page_sessions.holder, self._parts.accounts, token) is None:
                    break
            if changed.is_set() and not (line.gone or self._hub.closed):
                await asyncio.sleep(_GATHER_S)  # letters that come together are told together
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send, account: Account, language: Language, before: _Sight) -> _Sight:
        places = await asyncio.to_thread(places_of, self._parts, account)
        inbox = next((one for one in places if one.slug == "inbox"), None)
        now = _Sight({one.place: one.box.unseen for one in places}, inbox.box.uidnext if inbox else 0)
        if now.counts != before.counts:
            await _send(send, _event("count", now.counts))
        if inbox is not None and before.uidnext and now.uidnext > before.uidnext:
            for news in await asyncio.to_thread(self._news, inbox, before.uidnext, language):
                await _send(send, _event("mail", news))
        return now

    def _news(self, inbox: Place, first: int, language: Language) -> list[dict[str, str]]:
        ref: Ref = inbox.box.ref
        rows = [one for one in self._parts.store.rows(ref, first) if not one.flags & SEEN][-3:]
        known = self._parts.store.summaries([one.blob for one in rows])
        told = []
        for row in rows:
            letter = known.get(row.blob)
            if letter is None:
                continue
            sender = letter.from_[0] if letter.from_ else None
            who = shown.known_name(self._parts.accounts, sender.address, sender.name) if sender else ""
            text = say(language, "mail.new-toast", who=who, subject=letter.subject)
            told.append({"text": text, "href": f"/mail/{inbox.slug}/{row.uid}"})
        return told


async def _watch(receive: Receive, changed: asyncio.Event, line: _Line) -> None:
    """uvicorn's send() says nothing after a disconnect: only receive() tells that the page is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    line.gone = True
    changed.set()


def _event(kind: str, value: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _answer(send: Send, status: int) -> None:
    open_ended = status == 200
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8" if open_ended else b"text/plain"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if not open_ended:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _cookies(scope: Scope) -> dict[str, str]:
    try:
        return {name: one.value for name, one in SimpleCookie(_header(scope, b"cookie")).items()}
    except CookieError:
        return {}
