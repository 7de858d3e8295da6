# SPDX-License-Identifier: AGPL-3.0-or-later
"""The files of documents: PDFs, edXML and packets, sealed under the document's own key (DESIGN 4.14).

Files lie under ``data/documents/<agency>/<xx>/<random name>``: nonce(12) and AES-256-GCM ciphertext, named
at random and authenticated with their name. The key of a document is made and unwrapped by the signer
alone, so neither the disk nor the installation's own keys open a document. A file is whole and durable
before the transaction that names it; one that no row names is the waste of an interrupted move.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.clock import now_us
from config.durable import write_durably
from config.seal import Seal, SealBroken
from exchange.documents.model import DocumentRef, StoredFile
from exchange.documents.records import lock, no_such_document
from exchange.documents.schema import document_file

_NONCE = 12
PDF, EDXML, MAIL, JSON = "application/pdf", "application/xml", "message/rfc822", "application/json"


@dataclass(frozen=True, slots=True)
class Written:
    """A file on disk that no row names yet."""

    path: str
    name: str
    media_type: str
    size: int
    sha256: str


class Files:
    """The files below ``folder``. Blocking; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, agency: int, key: bytes, name: str, media_type: str, data: bytes) -> Written:
        """Seal ``data`` under the document's ``key`` (32 bytes) and make it durable."""
        label = secrets.token_hex(16)
        path = f"{agency}/{label[:2]}/{label}"
        target = self._folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        nonce = os.urandom(_NONCE)
        write_durably(target, nonce + AESGCM(key).encrypt(nonce, data, path.encode()), mode=0o600)
        return Written(path, name, media_type, len(data), hashlib.sha256(data).hexdigest())

    def read(self, key: bytes, stored: StoredFile | Written) -> bytes:
        """The bytes of a file. Raises `SealBroken` when the file is gone, altered or another's."""
        try:
            sealed = (self._folder / stored.path).read_bytes()
            data = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], stored.path.encode())
        except (OSError, InvalidTag, ValueError) as problem:
            raise SealBroken from problem
        if hashlib.sha256(data).hexdigest() != stored.sha256:
            raise SealBroken
        return data

    def exists(self, stored: StoredFile) -> bool:
        """Whether the file lies there with the size it should have (for `verify-data`)."""
        try:
            size = (self._folder / stored.path).stat().st_size
        except OSError:
            return False
        return size == stored.size + _NONCE + 16


def add(conn: sa.Connection, seal: Seal, ref: DocumentRef, role: str, written: Written) -> int:
    """Name a written file as one of the document's; returns its number."""
    lock(conn, ref)
    table = document_file
    last = conn.execute(
        sa.select(sa.func.max(table.c.file)).where(
            table.c.agency == ref.agency, table.c.document == ref.document
        )
    ).scalar()
    number = int(last or 0) + 1
    told = {"name": written.name, "type": written.media_type, "sha256": written.sha256, "path": written.path}
    conn.execute(
        sa.insert(table).values(
            **ref._asdict(),
            file=number,
            role=role,
            path=written.path,
            size=written.size,
            at_us=now_us(),
            sealed=seal.seal(json.dumps(told, ensure_ascii=False).encode(), _aad(ref, number, role)),
        )
    )
    return number


def listing(conn: sa.Connection, seal: Seal, ref: DocumentRef) -> list[StoredFile]:
    """The files of a document in the order they were added. Raises `SealBroken` for a moved row."""
    table = document_file
    rows = conn.execute(
        sa.select(table)
        .where(table.c.agency == ref.agency, table.c.document == ref.document)
        .order_by(table.c.file)
    )
    found = []
    for row in rows:
        told = json.loads(seal.open(row.sealed, _aad(ref, row.file, row.role)))
        if told["path"] != row.path:
            raise SealBroken
        found.append(
            StoredFile(
                row.file, row.role, told["name"], told["type"], row.size, told["sha256"], row.path, row.at_us
            )
        )
    return found


def forget_prepared(conn: sa.Connection, ref: DocumentRef) -> None:
    """Files prepared for a signature are not taken up again: the fields were put elsewhere."""
    table = document_file
    conn.execute(
        sa.delete(table).where(
            table.c.agency == ref.agency, table.c.document == ref.document, table.c.role == "prepared"
        )
    )


def newest(conn: sa.Connection, seal: Seal, ref: DocumentRef, role: str) -> StoredFile:
    """The last file of ``role``. Raises `Refused` when the document has none."""
    found = [one for one in listing(conn, seal, ref) if one.role == role]
    if not found:
        raise no_such_document(f"{ref.id}/{role}")
    return found[-1]


def _aad(ref: DocumentRef, number: int, role: str) -> bytes:
    return f"document {ref.id} file {number} {role}".encode()
