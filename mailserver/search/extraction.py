# SPDX-License-Identifier: AGPL-3.0-or-later
"""Text of attachments, taken out by a process that may do nothing else (`extractor`), in bounded time and size."""

from __future__ import annotations

import logging
import os
import select
import struct
import subprocess
import sys
import time
import unicodedata

from mailserver.message import Part, Summary, body_bytes

log = logging.getLogger("congvan.search")

_HEAD = struct.Struct("<II")
_PIECE = struct.Struct("<I")
_LARGEST = 32 * 1024 * 1024
_FILES = 50
_SECONDS = 30.0
_TEXT = 4 * 1024 * 1024
_FILES_OF_ONE_CHILD = 200
_ZIP = b"PK\x03\x04"
_OPEN = ("docx", "docm", "dotx", "xlsx", "xlsm", "pptx", "pptm")
_ODF = ("odt", "ods", "odp", "ott", "fodt")


def kind_of(part: Part, data: bytes) -> str | None:
    """By content, then by name, how the text of a file is taken out; None: it is not."""
    name = (part.filename or "").lower().rpartition(".")[2]
    if data.startswith(b"%PDF-") or b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(_ZIP):
        if data[30:38] == b"mimetype" or name in _ODF or "opendocument" in part.type:
            return "opendocument"
        return "openxml" if name in _OPEN or "openxmlformats" in part.type else None
    if part.type.startswith("text/"):
        return None  # these are read as bodies are
    if name in ("html", "htm", "xhtml") or part.type == "application/xhtml+xml":
        return "html"
    return "plain" if name in ("txt", "csv", "md") else None


class Extraction:
    """Asks an extractor that is started when first needed. One thread at a time."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._done = 0

    def text(self, data: bytes, summary: Summary) -> str:
        """The text of a message's attachments, NFC; what can't be read gives less, never an error."""
        out: list[str] = []
        left = _TEXT
        files = [one for one in summary.parts if not one.is_multipart and not one.is_message]
        for part in files[:_FILES]:
            if left <= 0:
                break
            if part.size > 2 * _LARGEST or (part.type.startswith("text/") and part.path):
                continue
            content = body_bytes(data, part)
            kind = kind_of(part, content)
            if kind is None or len(content) > _LARGEST:
                continue
            found = self.of_file(kind, content)[:left]
            left -= len(found)
            out.append(found)
        return unicodedata.normalize("NFC", "\n".join(out))

    def of_file(self, kind: str, content: bytes) -> str:
        """The text of one file of a known kind, as far as it could be read."""
        child = self._running()
        until = time.monotonic() + self._seconds
        pieces: list[bytes] = []
        try:
            self._send(child, _HEAD.pack(len(kind), len(content)) + kind.encode() + content, until)
            while size := _PIECE.unpack(self._receive(child, _PIECE.size, until))[0]:
                pieces.append(self._receive(child, size, until))
        except (OSError, EOFError, TimeoutError):
            log.info("a %s of %d octets was too much for the extractor", kind, len(content))
            self.close()
        return b"".join(pieces).decode("utf-8", "replace")

    def close(self) -> None:
        """End the extractor."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        self._done += 1
        if self._child is not None and (self._done > _FILES_OF_ONE_CHILD or self._child.poll() is not None):
            self.close()
        if self._child is None:
            self._done = 1
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-m", "mailserver.search.extractor"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},
                cwd="/",
                bufsize=0,
            )
            assert self._child.stdin is not None
            os.set_blocking(self._child.stdin.fileno(), False)
        return self._child

    @staticmethod
    def _send(child: subprocess.Popen[bytes], data: bytes, until: float) -> None:
        assert child.stdin is not None
        handle, view = child.stdin.fileno(), memoryview(data)
        while view:
            _, ready, _ = select.select([], [handle], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError
            view = view[os.write(handle, view[: 64 * 1024]) :]

    @staticmethod
    def _receive(child: subprocess.Popen[bytes], size: int, until: float) -> bytes:
        assert child.stdout is not None
        handle, data = child.stdout.fileno(), b""
        if size > _TEXT * 4:
            raise EOFError
        while len(data) < size:
            ready, _, _ = select.select([handle], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError
            more = os.read(handle, min(size - len(data), 1024 * 1024))
            if not more:
                raise EOFError
            data += more
        return data
