# SPDX-License-Identifier: AGPL-3.0-or-later
"""Files of a backup: age files (age-encryption.org/v1, X25519), so that the ``age`` program opens them too.

Inside, records follow one another: a 4-byte big-endian length, a JSON head of that length with ``size``, and so
many bytes. An empty head ends the file, so a part is never taken for a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyrage

from config.durable import sync_folder
from config.refusal import Refused

CHUNK = 1 << 20
_LARGEST_HEAD = 1 << 20


def damaged(path: Path, what: str) -> Refused:
    """A file of the backup that can't be used."""
    return Refused(
        "backup-damaged",
        f"Bản sao lưu hỏng: {path}: {what}. Dùng bản khác.",
        f"The backup is damaged: {path}: {what}. Use another generation or copy.",
    )


class Writer:
    """Writes records into an age file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def record(self, head: dict[str, Any], data: bytes) -> None:
        """One record with its data at hand."""
        self.begin({**head, "size": len(data)})
        self.more(data)

    def begin(self, head: dict[str, Any]) -> None:
        """A record whose ``size`` bytes follow by `more`."""
        coded = json.dumps(head, ensure_ascii=False).encode()
        self._stream.write(struct.pack(">I", len(coded)) + coded)

    def more(self, data: bytes) -> None:
        """Bytes of the record begun."""
        self._stream.write(data)


class _Told:
    """A file whose own error is kept: the library would give its text only."""

    def __init__(self, file: BinaryIO, failed: list[BaseException]) -> None:
        self._file = file
        self._failed = failed

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as problem:
            self._failed.append(problem)
            raise

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def sealing(path: Path, recipient: str) -> Iterator[Writer]:
    """Write an age file for ``recipient`` (``age1…``); durable when the body is through."""
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError as problem:
        raise Refused(
            "no-backup-key",
            "Chưa có khóa sao lưu: chạy `congvan backup key` trên máy khác, ghi khóa công khai vào [backup] recipient.",
            "No backup key: run `congvan backup key` elsewhere and put the public one into [backup] recipient.",
        ) from problem
    read_end, write_end = os.pipe()
    failed: list[BaseException] = []

    def encrypt() -> None:
        try:
            with os.fdopen(read_end, "rb") as source, path.open("wb") as target:
                os.fchmod(target.fileno(), 0o600)
                pyrage.encrypt_io(source, _Told(target, failed), [key])
                target.flush()
                os.fsync(target.fileno())
        except BaseException as problem:
            failed.append(problem)

    thread = threading.Thread(target=encrypt, name="backup-seal")
    thread.start()
    try:
        with os.fdopen(write_end, "wb", buffering=CHUNK) as stream:
            yield Writer(stream)
            stream.write(struct.pack(">I", 0))
    except BrokenPipeError as problem:
        thread.join()
        raise (failed[0] if failed else problem) from problem
    thread.join()
    if failed:
        raise failed[0]
    sync_folder(path.parent)


@contextmanager
def opening(path: Path, identity: Any) -> Iterator[Iterator[tuple[dict[str, Any], BinaryIO]]]:
    """The records of an age file: (head, stream); of the stream exactly ``size`` bytes are to be read.

    Raises `Refused` (``backup-damaged``) for a file that is cut off, altered, or for another key.
    """
    read_end, write_end = os.pipe()
    failed: list[BaseException] = []

    def decrypt() -> None:
        try:
            with path.open("rb") as source, os.fdopen(write_end, "wb", buffering=CHUNK) as target:
                pyrage.decrypt_io(source, target, [identity])
        except BaseException as problem:
            failed.append(problem)

    thread = threading.Thread(target=decrypt, name="backup-open")
    thread.start()
    with os.fdopen(read_end, "rb", buffering=CHUNK) as stream:
        try:
            yield _records(path, stream)
            while stream.read(CHUNK):
                pass
        finally:
            stream.close()  # who gives up early does not wait for the rest
            thread.join()
    if failed:
        raise damaged(path, str(failed[0])) from failed[0]


def _records(path: Path, stream: BinaryIO) -> Iterator[tuple[dict[str, Any], BinaryIO]]:
    while True:
        raw = stream.read(4)
        if len(raw) != 4:
            raise damaged(path, "it ends too early")
        (length,) = struct.unpack(">I", raw)
        if length == 0:
            return
        if length > _LARGEST_HEAD:
            raise damaged(path, "a head is too long")
        yield json.loads(stream.read(length)), stream


def exactly(path: Path, stream: BinaryIO, size: int) -> Iterator[bytes]:
    """``size`` bytes in chunks. Raises `Refused` when there are fewer."""
    while size:
        part = stream.read(min(size, CHUNK))
        if not part:
            raise damaged(path, "it ends too early")
        size -= len(part)
        yield part


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    made = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(CHUNK):
            made.update(part)
    return made.hexdigest()


def identity_of(file: Path) -> Any:
    """The private key in ``file``. Raises `Refused` (``bad-backup-key``)."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        return pyrage.x25519.Identity.from_str(
            next(one for one in lines if one.startswith("AGE-SECRET-KEY-"))
        )
    except (OSError, ValueError, StopIteration, pyrage.IdentityError) as problem:
        raise Refused(
            "bad-backup-key",
            f"{file} không phải là khóa sao lưu riêng.",
            f"{file} is not a private backup key.",
        ) from problem
