# SPDX-License-Identifier: AGPL-3.0-or-later
"""The signer process: a socket of its own, the only holder of the keys (DESIGN 4.20).

Only processes of the same user, or of users named, may speak to it (SO_PEERCRED). Requests of one
connection are answered in order; each key has a rate. It never tells anybody an exception's text.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.refusal import Refused, Unavailable
from exchange.signing.keys import KeyStore
from exchange.signing.operations import Operations
from exchange.signing.protocol import HEAD, BadFrame, decode, encode, length_of, refusal
from exchange.signing.token import OwnTokens, Token
from exchange.signing.token_module import TokenModule, TokenPlace
from exchange.trust.directory import TrustDirectory

log = logging.getLogger("congvan.signer")

_MAX_CONNECTIONS = 256
_RENEW_SECONDS = 3600.0
_RATES = {"sign_person": 20.0, "seal_agency": 20.0, "timestamp": 500.0, "checkpoint": 50.0, "ocsp": 100.0}
_OTHER_RATE = 500.0
_BURST_SECONDS = 10.0
_MAX_BUCKETS = 20_000


@dataclass(frozen=True, slots=True)
class SignerSettings:
    """Where the signer finds its things. ``users``: user ids that may connect beside our own.

    ``token``: new keys are made in it, and persons' tokens are reached by its module. ``host``, ``origins``: of the pages on which passkeys approve.
    ``status_url``: where the status of what is issued is served (`exchange.trust.status_places`).
    """

    socket: Path
    keys: Path
    secret: Path
    trust: Path
    origin: str
    users: frozenset[int] = frozenset()
    rate_factor: float = 1.0
    token: TokenPlace | None = None
    host: str = "localhost"
    origins: tuple[str, ...] = ()
    status_url: str = ""


async def serve(settings: SignerSettings, *, ready: Callable[[], None] | None = None) -> None:
    """Answers requests until cancelled. Raises `Refused` when the key store does not open.

    ``ready`` is called once the socket listens. State (log of uses, CRL numbers) lies beside the keys.
    """
    token, own = _tokens(settings.token)
    store = KeyStore(settings.keys, settings.secret, token, own)
    settings.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    operations = Operations(
        store,
        TrustDirectory(settings.trust),
        settings.keys,
        settings.origin,
        settings.host,
        settings.origins,
        settings.status_url,
    )
    pool = ThreadPoolExecutor(1, "signer")
    door = _Door(operations, pool, settings)
    settings.socket.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(door.connection, settings.socket, limit=64 * 1024)
    settings.socket.chmod(0o660 if settings.users else 0o600)
    renewing = asyncio.create_task(door.renew_lists())
    try:
        async with server:
            if ready is not None:
                ready()
            try:
                await server.serve_forever()
            finally:
                await door.hang_up()
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        settings.socket.unlink(missing_ok=True)
        pool.shutdown()
        operations.close()
        if token is not None:
            token.close()


def _tokens(place: TokenPlace | None) -> tuple[Token | None, OwnTokens | None]:
    """(the signer's own token, those of persons), through one module."""
    if place is None:
        return None, None
    module = TokenModule(place.module)
    return (Token(place, module) if place.label else None), OwnTokens(module)


class _Door:
    def __init__(self, operations: Operations, pool: ThreadPoolExecutor, settings: SignerSettings) -> None:
        self._operations = operations
        self._pool = pool
        self._users = settings.users | {os.getuid()}
        self._factor = settings.rate_factor
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._callers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One caller, until it hangs up or sends something that is no frame."""
        task = asyncio.current_task()
        if task is None or len(self._callers) >= _MAX_CONNECTIONS or _peer_user(writer) not in self._users:
            writer.close()
            return
        self._callers[task] = writer
        try:
            while True:
                body = await reader.readexactly(length_of(await reader.readexactly(HEAD)))
                writer.write(encode(await self._answer(decode(body))))
                await writer.drain()
        except (asyncio.IncompleteReadError, BadFrame, ConnectionError):
            return
        finally:
            self._callers.pop(task, None)
            writer.close()

    async def hang_up(self) -> None:
        """Ends all connections."""
        callers = dict(self._callers)
        for writer in callers.values():
            writer.close()
        await asyncio.gather(*callers, return_exceptions=True)

    async def renew_lists(self) -> None:
        """Looks every hour whether the revocation lists want renewing."""
        while True:
            answer = await self._answer({"op": "crl"})
            if "refused" in answer:
                log.error("the revocation lists could not be renewed: %s", answer["refused"]["code"])
            await asyncio.sleep(_RENEW_SECONDS)

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request.get("op")
        operation = self._operations.named(name) if isinstance(name, str) else None
        if operation is None:
            return refusal(
                Refused("no-such-operation", "Không có thao tác ký này.", "There is no such operation.")
            )
        try:
            self._pace(str(name), str(request.get("code") or request.get("address") or ""))
            values = await asyncio.get_running_loop().run_in_executor(self._pool, operation, request)
        except Refused as problem:
            return refusal(problem)
        except TypeError:
            log.exception("a request %s did not fit", name)
            return refusal(Refused("bad-request", "Yêu cầu ký không đúng.", "The request does not fit."))
        except Exception:
            log.exception("the operation %s failed", name)
            return refusal(
                Unavailable(
                    "signer-failed",
                    "Tiến trình ký số gặp lỗi; xem nhật ký máy chủ.",
                    "The signing process met an error; see the server's log.",
                )
            )
        return {"ok": values}

    def _pace(self, name: str, key: str) -> None:
        """A token bucket for each operation and key. Raises `Unavailable`."""
        rate = _RATES.get(name, _OTHER_RATE) * self._factor
        now = time.monotonic()
        tokens, then = self._buckets.get((name, key), (rate * _BURST_SECONDS, now))
        tokens = min(rate * _BURST_SECONDS, tokens + (now - then) * rate)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.clear()
        self._buckets[name, key] = (max(0.0, tokens - 1), now)
        if tokens < 1:
            raise Unavailable(
                "signer-busy",
                "Khóa này đang được dùng quá nhanh; hãy thử lại sau.",
                "This key is used too fast just now; please try again later.",
            )


def _peer_user(writer: asyncio.StreamWriter) -> int:
    peer = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(user)
