# SPDX-License-Identifier: AGPL-3.0-or-later
"""Folded texts: what of an indexed message is searched, a row a message, so that a phrase is looked for without
opening, decoding and folding the message again.

Packed: the header and the text (`mailserver.search.content`), each folded to one line, with a line feed between them;
UTF-8, compressed, sealed under the key of the blob, so that it goes with it. A very long one is not kept: the message is read.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from config.refusal import Refused
from config.seal import Seal, SealBroken, fresh_nonce
from config.statement import Statement
from mailserver.message import scan
from mailserver.search import schema
from mailserver.search.content import body_text, head_text
from mailserver.search.index import Index
from mailserver.search.terms import Folded
from mailserver.store import Store
from mailserver.store import schema as stored

log = logging.getLogger("congvan.search")

RUN = 128
"""So many are read by one statement."""
_LONGEST = 32 * 1024
"""Compressing more costs more than reading the few long messages that come into question."""
_FILL = 256
_PLACE = b"search-folded"
_ASKED = [f"blob_{number}" for number in range(RUN)]
_READ = Statement(
    sa.select(schema.folded.c.blob, schema.folded.c.sealed, stored.blob.c.wrapped_key, stored.blob.c.name)
    .join(stored.blob, stored.blob.c.blob == schema.folded.c.blob)
    .where(schema.folded.c.blob.in_([sa.bindparam(one) for one in _ASKED]))
)


def sealed(seal: Seal, head: str, body: str, wrapped_key: bytes, name: bytes) -> bytes | None:
    """The folded ``head`` and ``body`` of a blob, for storing; None when they are very long."""
    packed = pack(head, body)
    if packed is None:
        return None
    nonce = fresh_nonce()
    return nonce + seal.blob_key(wrapped_key).encrypt(nonce, zlib.compress(packed, 1), _PLACE + name)


def pack(head: str, body: str) -> bytes | None:
    """As they are searched; None when they are very long."""
    packed = f"{head}\n{body}".encode("utf-8", "surrogatepass")
    return packed if len(packed) <= _LONGEST else None


def holds(packed: bytes, wanted: Sequence[bytes], *, whole: bool) -> bool:
    """Whether a text has each of ``wanted`` (folded, UTF-8); ``whole``: in the header or the text, else in the text."""
    start = 0 if whole else packed.index(b"\n")
    return all(packed.find(one, start) >= 0 for one in wanted)


def read(store: Store, blobs: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """(blob, packed text) of at most `RUN` blobs, one opened at a time; those that have none are left out."""
    asked = [*blobs, *[blobs[-1]] * (RUN - len(blobs))]
    with store.database.reading() as conn:
        rows = _READ.rows(conn, **dict(zip(_ASKED, asked, strict=True)))
    key = store.seal.blob_key
    for blob, row, wrapped_key, name in rows:
        try:
            packed = zlib.decompress(key(wrapped_key).decrypt(row[:12], row[12:], _PLACE + name))
        except (InvalidTag, SealBroken, zlib.error):  # `verify-data` tells of it; the message is read
            log.warning("the folded text of blob %d can't be read", blob)
            continue
        yield blob, packed


def fill(store: Store) -> bool:
    """Keep the texts of blobs that were indexed by an older program, the newest first; True when some were looked at.

    The place it has come to moves in the transaction that stores them.
    """
    state, blob = schema.state, stored.blob
    with store.database.reading() as conn:
        upto = conn.execute(sa.select(state.c.unfolded)).scalar() or 0
        if not upto:
            return False
        query = sa.select(blob.c.blob, blob.c.name, blob.c.wrapped_key).where(blob.c.blob <= upto)
        rows = conn.execute(query.order_by(blob.c.blob.desc()).limit(_FILL)).all()
    wanted = [row.blob for row in rows]
    read_, summaries = store.contents(reversed(wanted)), store.summaries(wanted)
    extracted = Index(store).extracted(wanted)
    made = []
    for row in reversed(rows):
        try:
            data = read_(row.blob)
            one = Folded(
                head_text(data),
                body_text(data, summaries.get(row.blob) or scan(data), extracted.get(row.blob, "")),
            )
        except (LookupError, Refused, OSError):
            continue
        packed = sealed(store.seal, one.head, one.body, row.wrapped_key, row.name)
        if packed is not None:
            made.append({"blob": row.blob, "sealed": packed})
    left = wanted[-1] - 1 if len(rows) == _FILL else 0

    def job(conn: sa.Connection) -> None:
        moved = conn.execute(sa.update(state).where(state.c.unfolded == upto).values(unfolded=left))
        if moved.rowcount and made:
            conn.execute(sa.insert(schema.folded), made)

    store.database.write(job)
    return True
