# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bytes of a message → its `Summary`. Pure, linear, bounded; any bytes have a summary."""

from __future__ import annotations

import re

from mailserver.message import parameters, wire
from mailserver.message.addresses import decoded
from mailserver.message.dates import parse_date
from mailserver.message.structure import MAX_VALUE, Entity, kept_fields, parse
from mailserver.message.summary import Details, Part, Summary
from mailserver.message.text import preview
from mailserver.message.words import header_text

_ID = re.compile(rb"<[^<>\s]{1,998}>")
_UNSAFE_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
_SIGNATURES = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)
_MAX_NAME = 255


def scan(data: bytes) -> Summary:
    """The summary of a message's bytes. Never raises, whatever they are."""
    top = parse(data)
    found = top.fields
    lists = wire.address_lists(found)
    structure, cuts = wire.bodystructure(data, top)
    parts: list[Part] = []
    _flatten(top, parts)
    fixed = tuple(parts)
    message_id = found.get(b"message-id")
    replied = _ID.search(found.get(b"in-reply-to", b""))
    details = Details(
        subject=header_text(found.get(b"subject", b"")),
        from_=decoded(lists[b"from"]),
        sender=decoded(lists[b"sender"]),
        reply_to=decoded(lists[b"reply-to"]),
        to=decoded(lists[b"to"]),
        cc=decoded(lists[b"cc"]),
        bcc=decoded(lists[b"bcc"]),
        date_us=parse_date(found[b"date"]) if b"date" in found else None,
        message_id=header_text(message_id)[:998] if message_id else None,
        in_reply_to=replied[0].decode("ascii", "replace") if replied else None,
        references=tuple(
            one.decode("ascii", "replace") for one in _ID.findall(found.get(b"references", b""))[-100:]
        ),
        preview=preview(data, fixed),
        has_attachment=any(_is_attachment(one) for one in fixed),
        parts=fixed,
    )
    kept = kept_fields(data, top.body_start)
    return Summary.of(wire.envelope(found, lists), structure, cuts, kept, details)


def _flatten(entity: Entity, out: list[Part]) -> None:
    out.append(_part(entity))
    for child in entity.children:
        _flatten(child, out)


def _part(entity: Entity) -> Part:
    params = parameters.decoded(entity.parameters) if entity.parameters else {}
    raw = entity.fields.get(b"content-disposition")
    kind = name = None
    if raw is not None:
        found = parameters.disposition(raw)
        kind = found.decode("ascii") if found is not None else None
        if b";" in raw:
            name = parameters.decoded(parameters.pairs(raw)).get("filename")
    identity = entity.fields.get(b"content-id")
    encoding = entity.fields.get(b"content-transfer-encoding")
    return Part(
        path=entity.path,
        type=f"{entity.type.decode('ascii')}/{entity.subtype.decode('ascii')}"[:255],
        params={key[:128]: value[:MAX_VALUE] for key, value in params.items()},
        encoding=wire.encoding(entity)[1:-1].decode("ascii") if encoding is not None else "7bit",
        header_start=entity.header_start,
        body_start=entity.body_start,
        body_end=entity.body_end,
        filename=_file_name(name or params.get("name")),
        disposition=kind,
        content_id=header_text(identity).strip("<>")[:MAX_VALUE] if identity else None,
        is_message=entity.type == b"message" and bool(entity.children),
    )


def _file_name(name: str | None) -> str | None:
    """A name without path and without characters that lie about it; None when nothing is left."""
    if not name:
        return None
    last = name.replace("\\", "/").rpartition("/")[2]
    clean = _UNSAFE_NAME.sub("", last).strip(" .")
    if len(clean) > _MAX_NAME:
        stem, dot, suffix = clean.rpartition(".")
        clean = (
            stem[: _MAX_NAME - 1 - len(suffix)] + dot + suffix
            if dot and len(suffix) < 20
            else clean[:_MAX_NAME]
        )
    return clean or None


def _is_attachment(part: Part) -> bool:
    if part.is_multipart or part.type in _SIGNATURES:
        return False
    if part.is_message or part.disposition == "attachment":
        return True
    if part.path == "" or part.type in ("text/plain", "text/html"):
        return part.filename is not None and part.disposition is not None
    return part.content_id is None or part.disposition is not None
