# SPDX-License-Identifier: AGPL-3.0-or-later
"""An AuthEnvelopedData opened while it is read once, for a signature in it that is judged on the way.

Nothing of a file of any size is written twice: the content goes straight into its quarantine, where it counts only when
the tag was right and the signature was judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BufferedIOBase

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from exchange.sealing.ber import CHUNK, Buffer, Malformed, Stream
from exchange.sealing.enveloped import (
    MAX_INFO,
    MAX_SMALL,
    TAG,
    Head,
    Opened,
    content_keys,
    end_of,
    is_as_written,
    read_head,
)
from exchange.sealing.recipients import CannotOpen, Opener
from exchange.sealing.signed import NotCms


def open_forward(source: BufferedIOBase, openers: Sequence[Opener]) -> Forward | None:
    """The plaintext of ``source`` (seekable), to be read in one pass; ``None`` when `open_stream` must look at it."""
    try:
        head = read_head(Stream(source))
        keys = content_keys(head, openers) if head.authenticated else []
        return Forward(source, head, keys[0]) if len(keys) == 1 else None
    except (Malformed, NotCms, ValueError, TypeError, KeyError, IndexError, OverflowError):
        return None
    finally:
        source.seek(0)


class Forward:
    """The plaintext of an AuthEnvelopedData, forward only. What was read counts only when `finish` returns."""

    def __init__(self, source: BufferedIOBase, head: Head, key: bytes) -> None:
        self._source, self._head, self._key = source, head, key
        self._decryptor = Cipher(algorithms.AES(key), modes.GCM(head.start)).decryptor()
        self._buffer = bytearray(CHUNK + 16)
        self._left = memoryview(b"")
        self._total = 0
        self._stream: Stream | None = None
        self._pieces: Iterator[Buffer] = iter(())

    def readinto(self, buffer: memoryview, /) -> int:
        """How many bytes were put into ``buffer``, 0 at the end."""
        if not self._left and not self._next():
            return 0
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, b"" at the end."""
        if not self._left and not self._next():
            return b""
        piece = bytes(self._left[:size])
        self._left = self._left[size:]
        return piece

    def finish(self) -> Opened:
        """That the tag was right. Raises ``Malformed``, ``CannotOpen`` (also for what wants a second pass)."""
        while self._next():
            pass
        stream = self._stream
        if stream is None:
            raise CannotOpen
        stream.leave()
        if stream.peek() == 0xA1:
            raise CannotOpen
        tag = stream.whole(MAX_SMALL).octets()
        if stream.peek() == 0xA2:
            stream.whole(MAX_INFO)
        end_of(stream)
        if len(tag) != TAG:
            raise CannotOpen
        try:
            self._decryptor.finalize_with_tag(tag)
        except InvalidTag:
            raise CannotOpen from None
        canonical = is_as_written(self._source, self._head, self._total)
        self._source.seek(0)
        return Opened(self._key, True, tuple(one.raw for one in self._head.infos), canonical)

    def _next(self) -> bool:
        """Decrypt the next piece; False at the end."""
        if self._stream is None:
            self._stream = Stream(self._source)
            read_head(self._stream)
            if self._stream.peek() not in (0x80, 0xA0):
                raise Malformed("the content is not there")
            self._pieces = self._stream.string(0x80)
        piece = next(self._pieces, None)
        if piece is None:
            return False
        count = self._decryptor.update_into(piece, self._buffer)
        self._left = memoryview(self._buffer)[:count]
        self._total += len(piece)
        return True
