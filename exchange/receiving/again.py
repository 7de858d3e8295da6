# SPDX-License-Identifier: AGPL-3.0-or-later
"""A packet that was held unopened, looked at once more: the sender's certificate was pinned since, a list arrived.

The mail still lies in the registry mailbox as it came. What comes of it is an arrival as any other; the held row is
closed with a pointer to it (``document.reopened``), all in one transaction.
"""

from __future__ import annotations

import dataclasses
import hashlib

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import records, schema
from exchange.documents.model import Document, DocumentRef
from exchange.documents.states import move_from
from exchange.documents.work import load
from exchange.exchange import Exchange
from exchange.receiving.arrival import ArrivedDocument, ArrivedStatus
from exchange.receiving.keeping import effect_of_document
from exchange.receiving.reports import of_packet
from exchange.receiving.revocation import look
from exchange.receiving.statuses import effect_of_status
from exchange.sealing.packet import packet_digest
from mailserver.accounts import Account, Agency
from policy.rights import relation, require


def look_again(exchange: Exchange, ref: DocumentRef, clerk: Account) -> DocumentRef:
    """Open a held packet once more; the document it brought (``ref`` itself for a status).

    Raises `Refused` with what still stands in the way, `Unavailable`.
    """
    held = load(exchange, ref)
    agency = exchange.agency_numbered(ref.agency)
    require(clerk.role, "document.accept", relation(clerk.agency_code, agency.code))
    move_from(held.state, "reopen")
    if held.wrapped_key:
        raise Refused(
            "already-open",
            "Gói tin này đã mở được; tiếp nhận hoặc từ chối.",
            "This packet was opened; accept or refuse it.",
        )
    return open_again(exchange, held, clerk.address)


def open_again(exchange: Exchange, held: Document, by: str) -> DocumentRef:
    """The same on behalf of ``by``, a person with the right to it or the program. Raises as `look_again`."""
    ref, agency = held.ref, exchange.agency_numbered(held.ref.agency)
    digest = bytes.fromhex(held.fields.packet_digest)
    found = look(exchange, agency, _mail(exchange, agency, held, digest), held.fields.message_id)
    if not isinstance(found, ArrivedDocument | ArrivedStatus):
        raise Refused(found.code, found.vi, found.en)
    document = isinstance(found, ArrivedDocument)
    effect = (
        effect_of_document(exchange, agency, found)
        if isinstance(found, ArrivedDocument)
        else effect_of_status(exchange, agency, found)
    )
    seen = schema.packet_seen

    def job(conn: sa.Connection) -> None:
        vi, en = "Gói tin đã được mở lại.", "The packet was opened again."
        fields = dataclasses.replace(held.fields, reason=vi, reason_en=en, clerk=by)
        records.advance(conn, exchange.seal, ref, "reopen", fields)
        told = {"by": by, "packet": held.fields.packet_digest, "agency": agency.code}
        subject = held.ledger_subject
        records.add_event(conn, exchange.seal, ref, "document.reopened", subject, told, partner=agency.code)
        conn.execute(sa.delete(seen).where(seen.c.agency == ref.agency, seen.c.digest == digest))
        effect(conn)

    exchange.database.write(job)
    return (of_packet(exchange, agency, digest) or ref) if document else ref


def _mail(exchange: Exchange, agency: Agency, held: Document, digest: bytes) -> bytes:
    """The packet's mail in the registry mailbox. Raises `Refused` when it is not there any more."""
    box = exchange.store.find(agency.registry, "INBOX")
    for row in reversed(exchange.store.rows(box, 1, (1 << 32) - 1) if box is not None else []):
        if (exchange.store.summary(row.blob).message_id or "")[:200] != held.fields.message_id[:200]:
            continue
        mail = exchange.store.content(row.blob)
        try:
            same = bytes.fromhex(packet_digest(mail)) == digest
        except Refused:
            same = hashlib.sha256(mail).digest() == digest
        if same:
            return mail
    raise Refused(
        "mail-gone",
        "Thư mang gói tin không còn trong hộp thư văn thư; đề nghị cơ quan gửi gửi lại.",
        "The mail with this packet is no longer in the registry mailbox; ask the sender to send it again.",
    )
