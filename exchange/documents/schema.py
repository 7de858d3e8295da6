# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of official documents.

Keys begin with the agency's number at birth; a document that goes from one agency of the installation to
another has a row in each. Nothing is ever removed. In clear: ids, states, times, codes of agencies,
numbers, sizes, digests of ciphertext and keyed digests. Sealed by the installation: fields, reasons,
persons. Files lie apart, under a key of the document that only the signer unwraps (DESIGN 4.14).
"""

from __future__ import annotations

import sqlalchemy as sa

from config.database import metadata


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


document = sa.Table(
    "document",
    metadata,
    _key("agency"),
    _key("document"),
    sa.Column("direction", sa.String(10), nullable=False, comment="outgoing or incoming"),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False, comment="row of document-types.csv; 0 unknown"),
    sa.Column("business", sa.String(1), nullable=False, comment="BussinessDocType 0 1 2 3"),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("partner", sa.String(50), nullable=False, comment="code of the sender; own code when outgoing"),
    sa.Column("dated", sa.Date, comment="date on the document"),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("updated_us", sa.BigInteger, nullable=False),
    sa.Column("year", sa.SmallInteger, comment="its row of the register: year, sequence, number"),
    sa.Column("sequence", sa.String(30)),
    sa.Column("number", sa.BigInteger),
    sa.Column("identity_digest", sa.LargeBinary(16), comment="keyed, of the edXML DocumentId"),
    sa.Column("number_digest", sa.LargeBinary(16), comment="keyed, of number/notation"),
    sa.Column("public_digest", sa.LargeBinary(16), comment="keyed, of the code of the public look-up"),
    sa.Column("content_digest", sa.LargeBinary(16), comment="keyed, of the edXML bytes"),
    sa.Column("packet_digest", sa.LargeBinary(32), comment="SHA-256 of the encrypted packet"),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False, comment="opened by the signer alone"),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="fields, JSON"),
    sa.Index("document_state", "agency", "direction", "state", "updated_us"),
    sa.Index("document_identity", "agency", "identity_digest"),
    sa.Index("document_number", "number_digest"),
    sa.Index("document_public", "public_digest", unique=True),
)

document_file = sa.Table(
    "document_file",
    metadata,
    _key("agency"),
    _key("document"),
    _key("file"),
    sa.Column("role", sa.String(12), nullable=False, comment="draft, signed, issued, edxml, packet …"),
    sa.Column("path", sa.String(80), nullable=False, comment="below data/documents"),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="name, media type, SHA-256; JSON"),
)

document_approval = sa.Table(
    "document_approval",
    metadata,
    _key("agency"),
    _key("document"),
    _key("approval"),
    sa.Column("kind", sa.String(10), nullable=False, comment="text, content, form or seal"),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="by, digest, mode; JSON"),
)

document_recipient = sa.Table(
    "document_recipient",
    metadata,
    _key("agency"),
    _key("document"),
    _key("recipient"),
    sa.Column("code", sa.String(50), nullable=False),
    sa.Column("state", sa.String(12), nullable=False, comment="waiting, queued"),
    sa.Column("outcome", sa.String(24), nullable=False, comment="function of all records"),
    sa.Column("updated_us", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("agency", "document", "code", name="recipient_once"),
)

document_event = sa.Table(
    "document_event",
    metadata,
    _key("agency"),
    _key("document"),
    _key("event"),
    sa.Column("kind", sa.String(40), nullable=False, comment="as in the ledger"),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.BigInteger, comment="the ledger entry of it, by its pending id"),
    sa.Column("partner", sa.String(50), nullable=False, comment="the agency whose event it is"),
    sa.Column("status", sa.String(2), nullable=False, comment="StatusCode it carries"),
    sa.Column("proved", sa.Boolean, nullable=False, comment="a receipt with proof came with it"),
    sa.Column("file", sa.BigInteger, comment="the receipt, a file of this document"),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="who, reason, what; JSON"),
    sa.Index("event_of_kind", "agency", "document", "kind"),
)

document_turn = sa.Table(
    "document_turn",
    metadata,
    _key("agency"),
    _key("document"),
    _key("turn"),
    sa.Column("kind", sa.String(10), nullable=False, comment="initial, sign or seal"),
    sa.Column("code", sa.String(50), nullable=False, comment="the agency whose person or seal it is"),
    sa.Column("state", sa.String(10), nullable=False, comment="waiting or done"),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column(
        "person",
        sa.LargeBinary(16),
        comment="keyed, of the address of who initials or signs; of nobody for a seal",
    ),
    sa.Index("turn_of_agency", "code", "state", "kind"),
    sa.Index("turn_of_person", "person", "state"),
)
"""Who initials, signs and seals an outgoing document, in this order; the persons stand in its sealed fields."""

packet_seen = sa.Table(
    "packet_seen",
    metadata,
    _key("agency"),
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("document", sa.BigInteger, comment="the document it brought or spoke of"),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)
"""Every packet taken out of a registry mailbox, once: what a crash repeats is known again."""

word_awaited = sa.Table(
    "word_awaited",
    metadata,
    _key("agency"),
    _key("document"),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("next_us", sa.BigInteger, nullable=False, comment="when it is looked for again"),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="the certificates without a word, PEM"),
    sa.Index("word_next", "next_us"),
)
"""Held packets that wait for a word on revocation."""

status_due = sa.Table(
    "status_due",
    metadata,
    _key("agency"),
    _key("status"),
    sa.Column("document", sa.BigInteger, nullable=False),
    sa.Column("event", sa.BigInteger, nullable=False),
    sa.Column("partner", sa.String(50), nullable=False, comment="the agency that gets it"),
    sa.Column("code", sa.String(2), nullable=False),
    sa.Column("state", sa.String(10), nullable=False, comment="waiting or sent"),
    sa.Column("due_us", sa.BigInteger, nullable=False),
    sa.Index("status_waiting", "state", "due_us"),
)
