# SPDX-License-Identifier: AGPL-3.0-or-later
"""ENVELOPE and BODYSTRUCTURE as IMAP sends them (RFC 9051 §7.5.2), made once when a message arrives.

The non-extensible BODY is the BODYSTRUCTURE without its extension data; only where to cut is kept.
"""

from __future__ import annotations

from mailserver.message import parameters
from mailserver.message.addresses import Raw, parse, wire
from mailserver.message.structure import MAX_VALUE, Entity, Fields
from mailserver.message.words import nstring

_BUDGET = 1024 * 1024  # octets of parameter values in one BODYSTRUCTURE; more are left out
_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"})

Cuts = list[tuple[int, int]]


def envelope(fields: Fields, lists: dict[bytes, list[Raw]] | None = None) -> bytes:
    """The ENVELOPE of a message with these fields. ``lists`` gives address fields already parsed."""
    known = lists if lists is not None else address_lists(fields)
    senders = wire(known[b"from"])
    sender = wire(known[b"sender"]) if known[b"sender"] else senders
    reply_to = wire(known[b"reply-to"]) if known[b"reply-to"] else senders
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(fields.get(b"date")),
        nstring(fields.get(b"subject")),
        senders,
        sender,
        reply_to,
        wire(known[b"to"]),
        wire(known[b"cc"]),
        wire(known[b"bcc"]),
        nstring(fields.get(b"in-reply-to")),
        nstring(fields.get(b"message-id")),
    )


def address_lists(fields: Fields) -> dict[bytes, list[Raw]]:
    """The six address fields, parsed; an absent one is empty."""
    return {
        name: parse(fields[name]) if name in fields else []
        for name in (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
    }


class _Writer:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.out: list[bytes] = []
        self.length = 0
        self.cuts: Cuts = []
        self.left = _BUDGET

    def put(self, piece: bytes) -> None:
        self.out.append(piece)
        self.length += len(piece)

    def extension(self, piece: bytes) -> None:
        self.cuts.append((self.length, self.length + len(piece)))
        self.put(piece)

    def value(self, raw: bytes | None) -> bytes:
        return nstring(raw[:MAX_VALUE] if raw is not None else None)

    def parameters(self, pairs: parameters.Pairs) -> bytes:
        out = []
        for name, raw in pairs:
            piece = nstring(name[:128]) + b" " + nstring(raw[:MAX_VALUE])
            self.left -= len(piece)
            if self.left < 0:
                break
            out.append(piece)
        return b"(" + b" ".join(out) + b")" if out else b"NIL"

    def entity(self, one: Entity) -> None:
        if one.type == b"multipart":
            self.put(b"(")
            for child in one.children:
                self.entity(child)
            self.put(b" " + nstring(one.subtype[:128]))
            self.extension(
                b" %b %b %b %b"
                % (
                    self.parameters(one.parameters),
                    self.disposition(one),
                    self.language(one),
                    self.value(one.fields.get(b"content-location")),
                )
            )
            self.put(b")")
            return
        self.leaf(one)

    def leaf(self, one: Entity) -> None:
        given = one.parameters
        if not given and one.type == b"text" and b"content-type" not in one.fields:
            given = [(b"charset", b"us-ascii")]
        self.put(
            b'("%b" "%b" %b %b %b %b %d'
            % (
                one.type[:128],
                one.subtype[:128],
                self.parameters(given),
                self.value(one.fields.get(b"content-id")),
                self.value(one.fields.get(b"content-description")),
                encoding(one),
                one.body_end - one.body_start,
            )
        )
        if one.type == b"message" and one.children:
            self.put(b" " + envelope(one.children[0].fields) + b" ")
            self.entity(one.children[0])
        if one.type == b"text" or (one.type == b"message" and one.children):
            self.put(b" %d" % self.data.count(b"\n", one.body_start, one.body_end))
        self.extension(
            b" %b %b %b %b"
            % (
                self.value(one.fields.get(b"content-md5")),
                self.disposition(one),
                self.language(one),
                self.value(one.fields.get(b"content-location")),
            )
        )
        self.put(b")")

    def disposition(self, one: Entity) -> bytes:
        raw = one.fields.get(b"content-disposition")
        kind = parameters.disposition(raw) if raw is not None else None
        if raw is None or kind is None:
            return b"NIL"
        return b'("%b" %b)' % (kind[:128], self.parameters(parameters.pairs(raw)))

    def language(self, one: Entity) -> bytes:
        raw = one.fields.get(b"content-language")
        if raw is None:
            return b"NIL"
        tags = [self.value(tag.strip()) for tag in raw.split(b",")[:8]]
        return tags[0] if len(tags) == 1 else b"(" + b" ".join(tags) + b")"


def encoding(one: Entity) -> bytes:
    """The quoted Content-Transfer-Encoding of a leaf; unknown ones are given as they are declared."""
    raw = one.fields.get(b"content-transfer-encoding", b"7bit").split(b"(")[0].strip().lower()
    return b'"%b"' % raw if raw in _ENCODINGS else nstring(raw[:40] or b"7bit")


def bodystructure(data: bytes, top: Entity) -> tuple[bytes, Cuts]:
    """The extensible BODYSTRUCTURE and the ranges to leave out of it for BODY."""
    writer = _Writer(data)
    writer.entity(top)
    return b"".join(writer.out), writer.cuts


def body(extensible: bytes, cuts: Cuts) -> bytes:
    """The non-extensible BODY."""
    out, position = [], 0
    for start, end in cuts:
        out.append(extensible[position:start])
        position = end
    out.append(extensible[position:])
    return b"".join(out)
