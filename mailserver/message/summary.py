# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is kept of a message beside its bytes: enough for lists, searches and most of IMAP's FETCH.

Packed form: ``V2`` · four u32 lengths · ENVELOPE · BODYSTRUCTURE · cuts (u32 pairs) · header fields · JSON of the
rest. The wire forms are slices of it, the JSON is read when a field of it is first asked for.
"""

from __future__ import annotations

import array
import json
import struct
import sys
from dataclasses import dataclass
from typing import Any

from mailserver.message.addresses import Address
from mailserver.message.wire import Cuts, body

_HEAD = struct.Struct("<2sIIII")
_MAGIC = b"V2"
_NO_FIELDS = 0xFFFFFFFF
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Part:
    """One MIME entity. Offsets count octets of the whole message.

    ``path`` is the IMAP section: "" the message itself (always ``parts[0]``), "1.2" a part, "2.TEXT" the
    multipart body of the message carried in part 2. ``type`` is lower case, ``text/plain`` when undeclared;
    ``size`` is of the encoded body; ``is_message``: its body is itself a parsed message.
    """

    path: str
    type: str
    params: dict[str, str]
    encoding: str
    header_start: int
    body_start: int
    body_end: int
    filename: str | None
    disposition: str | None
    content_id: str | None
    is_message: bool

    @property
    def size(self) -> int:
        """Octets of the body as it is encoded."""
        return self.body_end - self.body_start

    @property
    def is_multipart(self) -> bool:
        """Whether it only holds other parts."""
        return self.type.startswith("multipart/")


@dataclass(frozen=True, slots=True)
class Details:
    """The decoded fields of a message; texts are NFC without control characters."""

    subject: str
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    date_us: int | None
    message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    preview: str
    has_attachment: bool
    parts: tuple[Part, ...]


class Summary:
    """The summary of one message; made by `mailserver.message.scan`."""

    __slots__ = ("_cuts", "_details", "_rest", "bodystructure", "envelope", "fields")

    def __init__(
        self,
        envelope: bytes,
        bodystructure: bytes,
        cuts: bytes,
        fields: bytes | None,
        details: Details | None,
        rest: bytes = b"",
    ) -> None:
        self.envelope = envelope
        self.bodystructure = bodystructure
        self.fields = fields
        """The header fields as they came, but for those `structure.is_trace` names; None when they are too long."""
        self._cuts = cuts
        self._details = details
        self._rest = rest

    @classmethod
    def of(
        cls, envelope: bytes, bodystructure: bytes, cuts: Cuts, fields: bytes | None, details: Details
    ) -> Summary:
        """A fresh summary."""
        flat = array.array("I", [edge for cut in cuts for edge in cut])
        if sys.byteorder == "big":
            flat.byteswap()
        return cls(envelope, bodystructure, flat.tobytes(), fields, details)

    @property
    def body(self) -> bytes:
        """The BODY item: BODYSTRUCTURE without extension data."""
        flat = array.array("I", self._cuts)
        if sys.byteorder == "big":
            flat.byteswap()
        edges = flat.tolist()
        return body(self.bodystructure, list(zip(edges[::2], edges[1::2], strict=True)))

    @property
    def details(self) -> Details:
        """All decoded fields at once."""
        if self._details is None:
            self._details = _details(json.loads(self._rest))
            self._rest = b""
        return self._details

    @property
    def subject(self) -> str:
        """The decoded subject, "" when absent."""
        return self.details.subject

    @property
    def from_(self) -> tuple[Address, ...]:
        """The mailboxes of From."""
        return self.details.from_

    @property
    def sender(self) -> tuple[Address, ...]:
        """The mailbox of Sender; empty when there is no such field."""
        return self.details.sender

    @property
    def reply_to(self) -> tuple[Address, ...]:
        """The mailboxes of Reply-To."""
        return self.details.reply_to

    @property
    def to(self) -> tuple[Address, ...]:
        """The mailboxes of To."""
        return self.details.to

    @property
    def cc(self) -> tuple[Address, ...]:
        """The mailboxes of Cc."""
        return self.details.cc

    @property
    def bcc(self) -> tuple[Address, ...]:
        """The mailboxes of Bcc."""
        return self.details.bcc

    @property
    def date_us(self) -> int | None:
        """µs UTC of the Date field, None when absent or unreadable."""
        return self.details.date_us

    @property
    def message_id(self) -> str | None:
        """The Message-ID with its angle brackets."""
        return self.details.message_id

    @property
    def in_reply_to(self) -> str | None:
        """The first message id of In-Reply-To."""
        return self.details.in_reply_to

    @property
    def references(self) -> tuple[str, ...]:
        """The message ids of References, oldest first, at most 100."""
        return self.details.references

    @property
    def preview(self) -> str:
        """The beginning of the text for people, at most 200 characters on one line."""
        return self.details.preview

    @property
    def has_attachment(self) -> bool:
        """Whether a reader should see a paper clip."""
        return self.details.has_attachment

    @property
    def parts(self) -> tuple[Part, ...]:
        """All entities, flat, in IMAP order; the first is the message itself (path "")."""
        return self.details.parts

    def part(self, path: str) -> Part | None:
        """The part with this IMAP section; "1" of a message without parts is the message itself."""
        parts = self.details.parts
        if path == "1" and not parts[0].is_multipart:
            return parts[0]
        return next((one for one in parts if one.path == path), None)

    def pack(self) -> bytes:
        """Bytes for storing; `unpack` reads them."""
        rest = (
            self._rest if self._details is None else _JSON(_plain(self._details)).encode("utf-8", "replace")
        )
        kept = self.fields
        head = _HEAD.pack(
            _MAGIC,
            len(self.envelope),
            len(self.bodystructure),
            len(self._cuts),
            _NO_FIELDS if kept is None else len(kept),
        )
        return b"".join((head, self.envelope, self.bodystructure, self._cuts, kept or b"", rest))

    @classmethod
    def unpack(cls, packed: bytes) -> Summary:
        """The summary of `pack`ed bytes. Raises ValueError when they are not."""
        if packed[:2] != _MAGIC or len(packed) < _HEAD.size:
            raise ValueError("not a packed summary")
        _, first, second, third, fourth = _HEAD.unpack_from(packed)
        one = _HEAD.size + first
        two = one + second
        three = two + third
        four = three if fourth == _NO_FIELDS else three + fourth
        fields = None if fourth == _NO_FIELDS else packed[three:four]
        return cls(packed[_HEAD.size : one], packed[one:two], packed[two:three], fields, None, packed[four:])


def _plain(one: Details) -> list[Any]:
    return [
        one.subject,
        one.from_,
        one.sender,
        one.reply_to,
        one.to,
        one.cc,
        one.bcc,
        one.date_us,
        one.message_id,
        one.in_reply_to,
        one.references,
        one.preview,
        one.has_attachment,
        [
            [
                part.path,
                part.type,
                part.params,
                part.encoding,
                part.header_start,
                part.body_start,
                part.body_end,
                part.filename,
                part.disposition,
                part.content_id,
                part.is_message,
            ]
            for part in one.parts
        ],
    ]


def _details(raw: list[Any]) -> Details:
    from_, sender, reply_to, to, cc, bcc = (tuple(Address(*entry) for entry in one) for one in raw[1:7])
    return Details(
        subject=raw[0],
        from_=from_,
        sender=sender,
        reply_to=reply_to,
        to=to,
        cc=cc,
        bcc=bcc,
        date_us=raw[7],
        message_id=raw[8],
        in_reply_to=raw[9],
        references=tuple(raw[10]),
        preview=raw[11],
        has_attachment=raw[12],
        parts=tuple(Part(*part) for part in raw[13]),
    )
