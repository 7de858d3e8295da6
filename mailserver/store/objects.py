# SPDX-License-Identifier: AGPL-3.0-or-later
"""Blobs in S3-compatible storage: the blobs of one group are one object, which never changes.

An object is a segment: a head, then sealed blobs end to end, read by range. Deliveries stage their blob before
their transaction, those that wait together in one object, so that no row is locked while the network is asked;
what arrives by `append` inside a transaction goes up before its commit. Objects are created, never overwritten
(``If-None-Match``); their number holds the microsecond of their birth, so nodes need not agree on anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from config.clock import now_us
from config.refusal import Refused
from mailserver.store.storage import StorageUnavailable

log = logging.getLogger("congvan.objects")
_MAGIC = b"congvan segment 1\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
_RANDOM_BITS = 10
_GROUP = 8 * 1024 * 1024
_UPLOADS = 4
_SMALL = 4 * 1024 * 1024
_SETTLED_S = 3600


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where objects lie. ``credentials``: a JSON file with ``access_key_id`` and ``secret_access_key``."""

    name: str
    prefix: str
    endpoint: str
    region: str
    credentials: Path


def open_bucket(bucket: Bucket) -> S3Store:
    """The client. Raises `Refused` (``bad-settings``) when the credentials can't be read."""
    try:
        told = json.loads(bucket.credentials.read_text(encoding="utf-8"))
        key, secret = str(told["access_key_id"]), str(told["secret_access_key"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise Refused(
            "bad-settings",
            f"Không đọc được khóa truy cập kho S3 {bucket.credentials}.",
            f"The S3 credentials {bucket.credentials} can't be read: JSON with access_key_id, secret_access_key.",
        ) from problem
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        endpoint=bucket.endpoint or None,
        region=bucket.region,
        access_key_id=key,
        secret_access_key=secret,
        client_options={"allow_http": bucket.endpoint.startswith("http://"), "timeout": "20s"},
        retry_config={"max_retries": 3},
    )


class Objects:
    """The objects of one bucket: the `storage.BlobStorage` of stateless nodes."""

    is_remote = True
    group_bytes = 32 * 1024 * 1024

    def __init__(self, client: S3Store, cache_bytes: int) -> None:
        self._client = client
        self._cache = _Cache(cache_bytes)
        self._pending: list[bytes] = []
        self._number = 0
        self._end = 0
        self._stagers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Stager] = WeakKeyDictionary()

    # --- writing

    def append(self, data: bytes | bytearray) -> tuple[int, int]:
        """Keep ``data`` for the object that `flush` puts up; returns (segment, offset)."""
        if not self._pending:
            self._number, self._end = _new_number(), len(_MAGIC)
        offset, self._end = self._end, self._end + len(data)
        self._pending.append(bytes(data))
        return self._number, offset

    def begin_flush(self) -> None:
        """Nothing: what comes before a transaction was put up by `stage`."""

    def flush(self) -> None:
        """Put up what was appended. Raises `StorageUnavailable`; what was appended is then dropped."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        try:
            obstore.put(self._client, _path(self._number), b"".join([_MAGIC, *pending]), mode="create")
        except BaseError as problem:
            raise _unavailable(problem) from problem

    async def stage(self, data: bytes | bytearray) -> tuple[int, int] | None:
        """Put ``data`` up now, with what else waits in this event loop. Raises `StorageUnavailable`."""
        loop = asyncio.get_running_loop()
        stager = self._stagers.get(loop)
        if stager is None:
            stager = self._stagers[loop] = _Stager(self._client)
        return await stager.stage(bytes(data))

    # --- reading

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """A range of an object. Raises `FileNotFoundError`, `StorageUnavailable`."""
        key = (segment, offset, length)
        known = self._cache.get(key)
        if known is not None:
            return known
        try:
            data = bytes(obstore.get_range(self._client, _path(segment), start=offset, length=length))
        except FileNotFoundError as problem:
            raise FileNotFoundError(str(segment)) from problem
        except BaseError as problem:
            if self.size(segment) < offset + length:
                return b""
            raise _unavailable(problem) from problem
        self._cache.put(key, data)
        return data

    def size(self, segment: int) -> int:
        """Bytes of an object, 0 when it is not there."""
        try:
            return int(obstore.head(self._client, _path(segment))["size"])
        except FileNotFoundError:
            return 0
        except BaseError as problem:
            raise _unavailable(problem) from problem

    def sizes(self) -> dict[int, int]:
        """Bytes of each object."""
        found: dict[int, int] = {}
        try:
            for page in obstore.list(self._client, "segments/"):
                for one in page:
                    name = one["path"].rpartition("/")[2]
                    if name.isdigit():
                        found[int(name)] = int(one["size"])
        except BaseError as problem:
            raise _unavailable(problem) from problem
        return found

    # --- closed from the first moment

    def is_closed(self, segment: int) -> bool:
        """Always: objects never change."""
        return True

    def is_foreign(self, segment: int) -> bool:
        """No object is."""
        return False

    def wants_merge(self, segment: int, size: int) -> bool:
        """Small objects of an hour ago."""
        return size < _SMALL and segment >> _RANDOM_BITS < now_us() - _SETTLED_S * 1_000_000

    def trim(self, segment: int, end: int) -> None:
        """Objects have nothing behind their end."""

    def remove(self, segment: int) -> None:
        """Delete the object."""
        try:
            obstore.delete(self._client, _path(segment))
        except FileNotFoundError:
            return
        except BaseError as problem:
            raise _unavailable(problem) from problem

    def sibling(self) -> Objects:
        """Another appender, without a cache."""
        return Objects(self._client, 0)

    def close(self) -> None:
        """Nothing is open."""


class _Stager:
    """Uploads of one event loop: what waits together goes up together, a few objects at a time."""

    def __init__(self, client: S3Store) -> None:
        self._client = client
        self._waiting: list[tuple[bytes, asyncio.Future[tuple[int, int]]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def stage(self, data: bytes) -> tuple[int, int]:
        place: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((data, place))
        if len(self._running) < _UPLOADS:
            task = asyncio.create_task(self._upload(), name="stage")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await place

    async def _upload(self) -> None:
        while self._waiting:
            group, size = [self._waiting.pop(0)], 0
            while self._waiting and (size := size + len(group[-1][0])) < _GROUP:
                group.append(self._waiting.pop(0))
            number = _new_number()
            try:
                body = b"".join([_MAGIC, *(data for data, _ in group)])
                await obstore.put_async(self._client, _path(number), body, mode="create")
            except AlreadyExistsError:
                self._waiting = group + self._waiting  # another node had the same microsecond and bits
                continue
            except Exception as problem:
                for _, place in group:
                    if not place.done():
                        place.set_exception(_unavailable(problem))
                continue
            end = len(_MAGIC)
            for data, place in group:
                if not place.done():
                    place.set_result((number, end))
                end += len(data)


class _Cache:
    """The last ranges read, up to so many bytes; sealed, as they lie in the bucket."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int, int]) -> bytes | None:
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: tuple[int, int, int], data: bytes) -> None:
        if len(data) * 4 > self._most:
            return
        with self._lock:
            if key not in self._held:
                self._held[key] = data
                self._size += len(data)
            while self._size > self._most:
                self._size -= len(self._held.popitem(last=False)[1])


def _new_number() -> int:
    return now_us() << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)


def _path(number: int) -> str:
    return f"segments/{number:020d}"


def _unavailable(problem: BaseException) -> StorageUnavailable:
    log.error("the object store does not answer: %s", str(problem)[:300])
    return StorageUnavailable()
