# SPDX-License-Identifier: AGPL-3.0-or-later
"""MIME structure by offsets (RFC 2045, RFC 2046): one look at the bytes, no copy of a body.

A body is searched once for each level it lies under and levels are at most `MAX_DEPTH`, so time is
linear in the size. What goes over a limit is not an error: it becomes a flat application/octet-stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailserver.message import parameters
from mailserver.message.words import unfold

MAX_DEPTH = 32
MAX_PARTS = 2000
MAX_HEADER = 256 * 1024  # octets of the message's own header that are looked at
MAX_PART_HEADER = 16 * 1024
MAX_VALUE = 1024  # octets of a MIME value that go into a summary
_FALSE_HITS = 10_000

_VALUE = rb"[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"
_MIME = rb"content-(?:type|transfer-encoding|id|description|disposition|md5|language|location)"
_MESSAGE = rb"date|subject|from|sender|reply-to|to|cc|bcc|in-reply-to|message-id|references|" + _MIME
_PART_FIELDS = re.compile(rb"^(" + _MIME + rb")" + _VALUE, re.IGNORECASE | re.MULTILINE)
_MESSAGE_FIELDS = re.compile(rb"^(" + _MESSAGE + rb")" + _VALUE, re.IGNORECASE | re.MULTILINE)
_LINE_END = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z)")
_BLANK = re.compile(rb"\r?\n")

_TRACE = re.compile(
    rb"(?:received|return-path|delivered-to|dkim-signature|domainkey-signature|authentication-results|autocrypt|arc-.*"
    rb"|x-(?!priority\Z|mailer\Z|label\Z|original-to\Z|mozilla-|k9mail-|spam-flag\Z).*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_FIELD = re.compile(rb"^([^\s:]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)", re.MULTILINE)
_MAX_KEPT = 8 * 1024

Fields = dict[bytes, bytes]


@dataclass(slots=True)
class Entity:
    """One MIME entity. Offsets are of the whole message; ``path`` is its IMAP section."""

    path: str
    header_start: int
    body_start: int
    body_end: int
    fields: Fields
    type: bytes = b"text"
    subtype: bytes = b"plain"
    parameters: parameters.Pairs = field(default_factory=list)
    children: list[Entity] = field(default_factory=list)


class Budget:
    """What one message may still cost."""

    def __init__(self) -> None:
        self.parts = MAX_PARTS
        self.false_hits = _FALSE_HITS


def header_end(data: bytes, start: int, end: int) -> int:
    """Offset just behind the blank line that ends the header beginning at ``start`` (``end`` if there is none)."""
    first = _BLANK.match(data, start, end)
    if first is not None:
        return first.end()
    crlf = data.find(b"\n\r\n", start, end)
    bare = data.find(b"\n\n", start, crlf if crlf >= 0 else end)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else end


def fields(data: bytes, start: int, end: int, *, message: bool) -> Fields:
    """The fields of interest of a header, first of each name, unfolded; names in lower case."""
    pattern, most = (_MESSAGE_FIELDS, MAX_HEADER) if message else (_PART_FIELDS, MAX_PART_HEADER)
    out: Fields = {}
    for match in pattern.finditer(data, start, min(end, start + most)):
        name = match[1].lower()
        if name not in out:
            out[name] = unfold(match[2])
    return out


def is_trace(name: bytes) -> bool:
    """Whether fields of this name are left out of what is kept beside a message: long, and never listed."""
    return _TRACE.match(name) is not None


def kept_fields(data: bytes, end: int) -> bytes | None:
    """The header fields before ``end`` that mail programs list, as they came; None when they are too long."""
    if end > MAX_PART_HEADER:
        return None
    out = [one[0] for one in _FIELD.finditer(data, 0, end) if _TRACE.match(one[1]) is None]
    kept = b"".join(out)
    if kept and not kept.endswith(b"\n"):
        kept += b"\r\n"
    return kept if len(kept) <= _MAX_KEPT else None


def parse(data: bytes) -> Entity:
    """The structure of a whole message."""
    return _entity(data, 0, len(data), "", 0, Budget(), message=True, digest=False)


def _entity(
    data: bytes, start: int, end: int, path: str, depth: int, budget: Budget, *, message: bool, digest: bool
) -> Entity:
    budget.parts -= 1
    body = header_end(data, start, end)
    # The scan of a pattern with ^ looks at the character before the start: begin at the header itself.
    found = fields(data, start, body, message=message)
    entity = Entity(path, start, body, end, found)
    declared = found.get(b"content-type")
    kind = parameters.media_type(declared) if declared is not None else None
    if kind is not None and declared is not None:
        entity.type, entity.subtype = kind
        entity.parameters = parameters.pairs(declared)
    elif digest:
        entity.type, entity.subtype = b"message", b"rfc822"
    if entity.type == b"multipart":
        _multipart(data, entity, depth, budget)
    elif entity.type == b"message" and entity.subtype in (b"rfc822", b"global"):
        _message(data, entity, depth, budget)
    return entity


def _flat(entity: Entity) -> None:
    entity.type, entity.subtype, entity.parameters, entity.children = b"application", b"octet-stream", [], []


def _multipart(data: bytes, entity: Entity, depth: int, budget: Budget) -> None:
    if depth >= MAX_DEPTH or budget.parts <= 0:
        _flat(entity)
        return
    boundary = next((value for name, value in entity.parameters if name == b"boundary"), b"").rstrip()
    spans = _split(data, entity.body_start, entity.body_end, boundary, budget) if boundary else []
    prefix = (
        entity.path[: -len("TEXT")] if entity.path.endswith("TEXT") else entity.path and entity.path + "."
    )
    digest = entity.subtype == b"digest"
    for number, (start, end) in enumerate(spans, 1):
        if budget.parts <= 0:
            break
        entity.children.append(
            _entity(data, start, end, f"{prefix}{number}", depth + 1, budget, message=False, digest=digest)
        )
    if not entity.children:  # no delimiter: what is there is read as text, so that nothing is hidden
        budget.parts -= 1
        entity.children.append(
            Entity(f"{prefix}1", entity.body_start, entity.body_start, entity.body_end, {})
        )


def _message(data: bytes, entity: Entity, depth: int, budget: Budget) -> None:
    encoding = entity.fields.get(b"content-transfer-encoding", b"7bit").strip().lower()
    if depth >= MAX_DEPTH or budget.parts <= 0 or encoding in (b"base64", b"quoted-printable"):
        _flat(entity)
        return
    path = entity.path or "1"
    inner = _entity(
        data,
        entity.body_start,
        entity.body_end,
        f"{path}.TEXT",
        depth + 1,
        budget,
        message=True,
        digest=False,
    )
    if inner.type != b"multipart":
        inner.path = f"{path}.1"
        _renumber(inner, f"{path}.TEXT", inner.path)
    entity.children.append(inner)


def _renumber(entity: Entity, old: str, new: str) -> None:
    for child in entity.children:
        if child.path.startswith(old):
            child.path = new + child.path[len(old) :]
        _renumber(child, old, new)


def _split(data: bytes, start: int, end: int, boundary: bytes, budget: Budget) -> list[tuple[int, int]]:
    delimiter = b"--" + boundary
    spans: list[tuple[int, int]] = []
    opened, position = -1, start
    while True:
        hit = data.find(delimiter, position, end)
        if hit < 0:
            break
        after = hit + len(delimiter)
        line = _LINE_END.match(data, after, end) if hit == start or data[hit - 1] == 0x0A else None
        if line is None:
            position = after
            budget.false_hits -= 1
            if budget.false_hits < 0:
                break
            continue
        if opened >= 0:
            spans.append((opened, max(opened, _before_line_end(data, hit))))
        opened, position = line.end(), line.end()
        if line[1] is not None:
            return spans
        if len(spans) >= budget.parts:
            break
    if opened >= 0 and (opened < end or not spans):
        spans.append((opened, end))
    return spans


def _before_line_end(data: bytes, position: int) -> int:
    position -= 1
    return position - 1 if data[position - 1 : position] == b"\r" else position
