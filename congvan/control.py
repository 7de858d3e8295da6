# SPDX-License-Identifier: AGPL-3.0-or-later
"""The worker's control socket: commands act through the running installation (DESIGN §5).

Frames are a 4-byte big-endian length and JSON; bytes travel as ``{"b64": …}``. Only the user that runs
the installation (and root) may speak: the socket checks the peer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from config.refusal import Refused, Unavailable
from config.settings import Settings
from congvan.installation import refuse_when_down

log = logging.getLogger("congvan.control")
Act = Callable[..., Any]
_LARGEST = 96 * 1024 * 1024
_SECONDS = 120.0


def path_of(settings: Settings) -> Path:
    """Where the worker listens."""
    return settings.run_dir / "control.sock"


def call(settings: Settings, act: str, arguments: Mapping[str, Any], *, seconds: float = _SECONDS) -> Any:
    """Have the worker carry out ``act``. Raises what it raised: `Refused` or `Unavailable`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(seconds)
            channel.connect(str(path_of(settings)))
            body = _encode({"act": act, "arguments": dict(arguments)})
            channel.sendall(struct.pack(">I", len(body)) + body)
            answer = json.loads(
                _exactly(channel, struct.unpack(">I", _exactly(channel, 4))[0]), object_hook=_bytes_in
            )
    except OSError as problem:
        raise refuse_when_down(problem) from problem
    if "error" in answer:
        kind = Unavailable if answer.get("unavailable") else Refused
        raise kind(answer["error"], answer["vi"], answer["en"], rule=answer.get("rule"))
    return answer["result"]


class ControlServer:
    """Answers `call` in the worker; acts run in threads, coroutines in the loop."""

    def __init__(self, settings: Settings, acts: Mapping[str, Act]) -> None:
        self._path = path_of(settings)
        self._acts = acts
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            channel = writer.get_extra_info("socket")
            _, user, _ = struct.unpack(
                "3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            )
            if user not in (0, os.geteuid()):
                return
            (length,) = struct.unpack(">I", await reader.readexactly(4))
            if length > _LARGEST:
                return
            asked = json.loads(await reader.readexactly(length), object_hook=_bytes_in)
            body = _encode(await self._answer(asked["act"], asked["arguments"]))
            writer.write(struct.pack(">I", len(body)) + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, KeyError, TypeError) as problem:
            log.info("a control request was not understood: %s", type(problem).__name__)
        finally:
            writer.close()

    async def _answer(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        act = self._acts.get(name)
        if act is None:
            return _told(Refused("unknown-act", f"Không có lệnh {name}.", f"There is no act {name}."))
        try:
            if asyncio.iscoroutinefunction(act):
                return {"result": await act(**arguments)}
            result = await asyncio.to_thread(act, **arguments)
            return {"result": await result if isinstance(result, Awaitable) else result}
        except Refused as problem:
            return _told(problem)
        except Exception:
            log.exception("act %s failed", name)
            return _told(
                Unavailable(
                    "internal-error",
                    "Lỗi trong hệ thống, chưa có gì bị mất. Xem nhật ký của worker.",
                    "An error inside the program; nothing was lost. See the worker's log.",
                )
            )


def _told(problem: Refused) -> dict[str, Any]:
    return {
        "error": problem.code,
        "vi": problem.vi,
        "en": problem.en,
        "rule": problem.rule,
        "unavailable": isinstance(problem, Unavailable),
    }


def _encode(value: Any) -> bytes:
    return json.dumps(value, default=_bytes_out, ensure_ascii=False).encode()


def _bytes_out(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} does not travel")


def _bytes_in(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["b64"]) if value.keys() == {"b64"} else value


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = channel.recv(min(1 << 20, count - len(data)))
        if not part:
            raise ConnectionResetError("the worker closed the connection")
        data += part
    return bytes(data)
