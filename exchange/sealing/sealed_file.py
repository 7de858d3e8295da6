# SPDX-License-Identifier: AGPL-3.0-or-later
"""A file of any size for other agencies: signed by the organisation, then encrypted to each (CMS in CMS).

The plaintext of the AuthEnvelopedData is a SignedData that encapsulates the file, so ``openssl cms -decrypt``
and then ``openssl cms -verify`` open it. Memory stays the same whatever the size: the file is read twice (once
for its digest), and nothing of it is given out before the tag was right and the signature was judged.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from cryptography import x509

from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.ber import Malformed, Readable, pieces_of
from exchange.sealing.enveloped import Opened, open_stream, seal_stream
from exchange.sealing.judging import Judging, Sign
from exchange.sealing.one_pass import open_forward
from exchange.sealing.recipients import Opener, recipient_infos
from exchange.sealing.signed import SIGNED_DATA, CmsJudgement, around, sign_digest, verify_stream
from exchange.trust.verdict import FAILED, UNSIGNED

_BEGINNING = 64


def seal_file(
    source: Path,
    target: Path,
    certificates: Sequence[x509.Certificate],
    sign: Sign,
    recipients: Sequence[x509.Certificate],
) -> None:
    """Sign as the holder of ``certificates[0]`` and encrypt to ``recipients``. Raises ``Refused``, ``OSError``."""
    with source.open("rb") as plain, _quarantined(target) as sealed:
        digest, size = hashlib.sha256(), 0
        for piece in pieces_of(plain):
            digest.update(piece)
            size += len(piece)
        plain.seek(0)
        before, behind = around(size, sign_digest(digest.digest(), certificates, sign))
        key = os.urandom(32)
        whole = _Joined((io.BytesIO(before), plain, io.BytesIO(behind)))
        try:
            seal_stream(
                whole, len(before) + size + len(behind), sealed, recipient_infos(recipients, key), key
            )
        except ValueError:
            raise Refused(
                "file-changes", "Tệp đang bị thay đổi; thử lại.", "The file is being changed; try again."
            ) from None


def unseal_file(
    source: BufferedIOBase, target: Path | None, openers: Sequence[Opener], judging: Judging
) -> tuple[Opened, CmsJudgement]:
    """Open, judge, and give the content out into ``target``, unless the signature is TOTAL-FAILED.

    A content that is no SignedData is UNSIGNED; then it is given out only when a tag covers it (of AES-CBC alone
    nothing says that it is whole) and is no mail part that is signed in its own way, which the caller judges.
    Raises ``NotCms``, ``CannotOpen``, ``OSError``.
    """
    quick = _in_one_pass(source, target, openers, judging)
    if quick is not None:
        return quick
    place = target if target is not None else Path(os.environ.get("TMPDIR", "/tmp")) / "congvan"  # noqa: S108
    with _spool(place) as signed:
        opened = open_stream(source, openers, signed)
        signed.seek(0)
        head = signed.read(_BEGINNING)
        if head[:1] != b"\x30" or der.oid(SIGNED_DATA) not in head:
            signed.seek(0)
            if target is not None and opened.authenticated and not begins_multipart_signed(head):
                with _quarantined(target) as plain:
                    shutil.copyfileobj(signed, plain, 256 * 1024)
            return opened, CmsJudgement(UNSIGNED, "", (), None)
        signed.seek(0)
        if target is None:
            return opened, verify_stream(signed, None, judging)
        with _quarantined(target, keep=lambda: judgement.outcome != FAILED) as plain:
            judgement = verify_stream(signed, None, judging, plain)
    return opened, judgement


def _in_one_pass(
    source: BufferedIOBase, target: Path | None, openers: Sequence[Opener], judging: Judging
) -> tuple[Opened, CmsJudgement] | None:
    """Decrypted and judged while it is read once, in a quarantine as ever; ``None`` when it must be read in pieces.

    That is whatever is not as we write it: another content, another form, a wrong tag. The answer is given then.
    """
    plain = open_forward(source, openers)
    if plain is None:
        return None
    try:
        if target is None:
            judgement = verify_stream(plain, None, judging)
            return plain.finish(), judgement
        with _quarantined(target, keep=lambda: judgement.outcome != FAILED) as written:
            judgement = verify_stream(plain, None, judging, written)
            opened = plain.finish()
        return opened, judgement
    except (Refused, Malformed):
        return None
    finally:
        source.seek(0)


def begins_multipart_signed(head: bytes) -> bool:
    """Whether a content that begins so is a mail part with a signature beside it, as in our packets."""
    return head.lower().startswith(b"content-type: multipart/signed")


@contextmanager
def _spool(beside: Path) -> Iterator[BufferedIOBase]:
    """A file without a name on the disk of ``beside``."""
    path = beside.with_name(f".{beside.name}.{secrets.token_hex(8)}.quarantine")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    with os.fdopen(handle, "w+b") as file:
        yield file


@contextmanager
def _quarantined(target: Path, keep: Callable[[], bool] = lambda: True) -> Iterator[BufferedIOBase]:
    """A file that becomes ``target``, whole and durable, when the block ends well and ``keep`` agrees."""
    path = target.with_name(f".{target.name}.{secrets.token_hex(8)}.quarantine")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep():
            path.replace(target)
    finally:
        path.unlink(missing_ok=True)


class _Joined:
    """Several files read as one."""

    def __init__(self, parts: Sequence[Readable]) -> None:
        self._parts = list(parts)

    def readinto(self, buffer: memoryview, /) -> int:
        """How many bytes were put into ``buffer``, 0 at the end of the last file."""
        while self._parts:
            if count := self._parts[0].readinto(buffer):
                return count
            self._parts.pop(0)
        return 0

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes."""
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])
