# SPDX-License-Identifier: AGPL-3.0-or-later
"""Columns: one fact of every message of a mailbox, by UID, as it is searched and sorted.

A column is never changed; more messages make a longer one. Packed form, little-endian: ``u32`` count · ``u32`` UIDs ·
values (``i64`` numbers; UTF-8 lines; thread facts), compressed.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Self

from mailserver.message import Summary, fold_line, header_text
from mailserver.message.subjects import base_subject, casemap
from mailserver.message.words import unfold
from mailserver.search.fields import Fields
from mailserver.store import Row

_COUNT = struct.Struct("<I")
_PLAIN, _DEFLATED = b"\0", b"\1"
_LONGEST_PIECE = 16 * 1024


def _little(values: array[int]) -> array[int]:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values


def _take(code: str, data: memoryview, start: int, count: int) -> tuple[array[int], int]:
    found = array(code)
    end = start + found.itemsize * count
    found.frombytes(data[start:end])
    return _little(found), end


class Numbers:
    """A number of each message."""

    def __init__(self, uids: array[int] | None = None, values: array[int] | None = None) -> None:
        self.uids = array("I") if uids is None else uids
        self.values = array("q") if values is None else values

    @property
    def octets(self) -> int:
        """Memory it takes, about."""
        return 12 * len(self.uids)

    @classmethod
    def of(cls, uids: Iterable[int], values: Iterable[int]) -> Self:
        """A column of these."""
        return cls(array("I", uids), array("q", values))

    def pack(self) -> bytes:
        """Bytes for storing."""
        return _packed(self.uids, [_little(self.values).tobytes()])

    @classmethod
    def joined(cls, pieces: Sequence[bytes | Self]) -> Self:
        """One column of several packed or ready ones, rising by UID."""
        uids, values = array("I"), array("q")
        for one in pieces:
            if isinstance(one, bytes):
                data, count = _opened(one)
                some, at = _take("I", data, _COUNT.size, count)
                uids += some
                values += _take("q", data, at, count)[0]
            else:
                uids += one.uids
                values += one.values
        return cls(uids, values)


class Texts:
    """A text of each message on one line; ``text`` holds them all in UTF-8, each ended by a line feed.

    Octets are searched and sorted: their order is that of code points, and half as dear.
    """

    def __init__(self, uids: array[int], text: bytes) -> None:
        self.uids = uids
        self.text = text

    @property
    def octets(self) -> int:
        """Memory it takes, about."""
        return 4 * len(self.uids) + len(self.text)

    @classmethod
    def of(cls, uids: Iterable[int], texts: Iterable[str]) -> Self:
        """A column of these; line feeds in a text become blanks."""
        text = "".join([one.replace("\n", " ") + "\n" for one in texts])
        return cls(array("I", uids), text.encode("utf-8", "replace"))

    def pack(self) -> bytes:
        """Bytes for storing."""
        return _packed(self.uids, [self.text])

    @classmethod
    def joined(cls, pieces: Sequence[bytes | Self]) -> Self:
        """One column of several packed or ready ones, rising by UID."""
        uids = array("I")
        texts: list[bytes | memoryview] = []
        for one in pieces:
            if isinstance(one, bytes):
                data, count = _opened(one)
                some, at = _take("I", data, _COUNT.size, count)
                uids += some
                texts.append(data[at:])
            else:
                uids += one.uids
                texts.append(one.text)
        return cls(uids, b"".join(texts))

    def values(self) -> list[bytes]:
        """The texts, by index."""
        found = self.text.split(b"\n")
        found.pop()
        return found

    def find(self, wanted: bytes) -> list[int]:
        """The indexes of the texts that hold ``wanted`` (without line feeds, not empty)."""
        found: list[int] = []
        text, start, line = self.text, 0, 0
        hit = text.find(wanted)
        while hit >= 0:
            line += text.count(b"\n", start, hit)
            found.append(line)
            start = text.find(b"\n", hit) + 1
            line += 1
            hit = text.find(wanted, start)
        return found


class Threads:
    """What threads are made of: 64-bit hashes of the message id and the ids it refers to, oldest first, and
    whether the subject is that of an answer. 0 stands for no id.
    """

    def __init__(
        self,
        uids: array[int] | None = None,
        ids: array[int] | None = None,
        answers: bytearray | None = None,
        counts: array[int] | None = None,
        refs: array[int] | None = None,
    ) -> None:
        self.uids = array("I") if uids is None else uids
        self.ids = array("Q") if ids is None else ids
        self.answers = bytearray() if answers is None else answers
        self.counts = array("H") if counts is None else counts
        self.refs = array("Q") if refs is None else refs

    @property
    def octets(self) -> int:
        """Memory it takes, about."""
        return 15 * len(self.uids) + 8 * len(self.refs)

    def add(self, uid: int, identity: int, answer: bool, refs: Sequence[int]) -> None:
        """One message more, while the column is being made."""
        self.uids.append(uid)
        self.ids.append(identity)
        self.answers.append(answer)
        self.counts.append(len(refs))
        self.refs.extend(refs)

    def pack(self) -> bytes:
        """Bytes for storing."""
        arrays = (self.ids, self.counts, self.refs)
        ids, counts, refs = (_little(one).tobytes() for one in arrays)
        return _packed(self.uids, [ids, bytes(self.answers), counts, refs])

    @classmethod
    def joined(cls, pieces: Sequence[bytes | Self]) -> Self:
        """One column of several packed or ready ones, rising by UID."""
        out = cls()
        for one in pieces:
            if isinstance(one, bytes):
                data, count = _opened(one)
                some, at = _take("I", data, _COUNT.size, count)
                out.uids += some
                some, at = _take("Q", data, at, count)
                out.ids += some
                out.answers += data[at : at + count]
                counts, at = _take("H", data, at + count, count)
                out.counts += counts
                out.refs += _take("Q", data, at, sum(counts))[0]
            else:
                out.uids += one.uids
                out.ids += one.ids
                out.answers += one.answers
                out.counts += one.counts
                out.refs += one.refs
        return out


class Pieces:
    """Octets of each message that has any, as they lie in answers to FETCH."""

    def __init__(self, uids: array[int], lengths: array[int], data: bytes) -> None:
        self.uids = uids
        self.lengths = lengths
        self.data = data

    @property
    def octets(self) -> int:
        """Memory it takes, about."""
        return 8 * len(self.uids) + len(self.data)

    @classmethod
    def of(cls, found: Iterable[tuple[int, bytes | None]]) -> Self:
        """A column of (UID, octets) pairs; None, and what is very long, is left out."""
        kept = [(uid, one) for uid, one in found if one is not None and len(one) <= _LONGEST_PIECE]
        uids, lengths = array("I", [uid for uid, _ in kept]), array("I", [len(one) for _, one in kept])
        return cls(uids, lengths, b"".join([one for _, one in kept]))

    def pack(self) -> bytes:
        """Bytes for storing."""
        return _packed(self.uids, [_little(self.lengths).tobytes(), self.data])

    @classmethod
    def joined(cls, pieces: Sequence[bytes | Self]) -> Self:
        """One column of several packed or ready ones, rising by UID."""
        uids, lengths = array("I"), array("I")
        datas: list[bytes | memoryview] = []
        for one in pieces:
            if isinstance(one, bytes):
                data, count = _opened(one)
                some, at = _take("I", data, _COUNT.size, count)
                uids += some
                some, at = _take("I", data, at, count)
                lengths += some
                datas.append(data[at:])
            else:
                uids += one.uids
                lengths += one.lengths
                datas.append(one.data)
        return cls(uids, lengths, b"".join(datas))

    def values(self) -> list[bytes]:
        """The octets, by index."""
        data, found, at = self.data, [], 0
        for length in self.lengths:
            found.append(data[at : at + length])
            at += length
        return found


Column = Numbers | Texts | Threads | Pieces


def _packed(uids: array[int], pieces: list[bytes]) -> bytes:
    plain = b"".join([_COUNT.pack(len(uids)), _little(uids).tobytes(), *pieces])
    small = zlib.compress(plain, 1)
    return _DEFLATED + small if len(small) < len(plain) * 3 // 4 else _PLAIN + plain


def _opened(packed: bytes) -> tuple[memoryview, int]:
    data = memoryview(zlib.decompress(packed[1:]) if packed[:1] == _DEFLATED else packed)
    if packed[:1] == _PLAIN:
        data = data[1:]
    return data, _COUNT.unpack_from(data)[0]


# --- how the facts are made


def hashed(identity: str) -> int:
    """A message id (with or without brackets) as a 64-bit number, never 0 (RFC 5256 §3, ``normalized``)."""
    bare = identity.strip().removeprefix("<").removesuffix(">")
    local, at, domain = bare.rpartition("@")
    if at and len(local) > 1 and local[0] == local[-1] == '"':
        bare = local[1:-1].replace("\\", "") + "@" + domain
    return int.from_bytes(blake2b(bare.encode(), digest_size=8).digest(), "little") or 1


def field_text(summary: Summary, name: str) -> str:
    """What a search for address fields ``name`` looks at: the fields as people read them, folded."""
    if summary.fields is None:
        people = {"from": summary.from_, "to": summary.to, "cc": summary.cc, "bcc": summary.bcc}[name]
        return fold_line(", ".join(f"{one.name} <{one.address}>" for one in people))
    return "  ".join(fold_line(header_text(value)) for value in field_values(summary.fields, name))


def field_values(head: bytes, name: str) -> list[bytes]:
    """The raw values of the fields of this name (lower case) in a header, unfolded."""
    wanted = name.encode() + b":"
    found = []
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    at, end = 0, len(lines)
    while at < end:
        line = lines[at]
        at += 1
        if not line[: len(wanted) + 8].lower().replace(b" ", b"").startswith(wanted):
            continue
        value = [line.partition(b":")[2]]
        while at < end and lines[at][:1] in (b" ", b"\t"):
            value.append(lines[at])
            at += 1
        found.append(unfold(b"\n".join(value)))
    return found


def _local(people: Sequence[object]) -> str:
    return casemap(str(getattr(people[0], "mailbox", ""))) if people else ""


def _shown(people: Sequence[object]) -> str:
    if not people:
        return ""
    first = people[0]
    return casemap(str(getattr(first, "name", "")) or str(getattr(first, "address", "")))


_NUMBERS: dict[str, Callable[[Row, Summary | None], int]] = {
    "blob": lambda row, _: row.blob,
    "size": lambda row, _: row.size,
    "arrival": lambda row, _: row.internaldate_us,
    "date": lambda row, one: (
        one.date_us if one is not None and one.date_us is not None else row.internaldate_us
    ),
    "files": lambda _, one: int(one is not None and one.has_attachment),
}
_TEXTS: dict[str, Callable[[Summary], str]] = {
    "subject": lambda one: fold_line(one.subject),
    "from": lambda one: field_text(one, "from"),
    "to": lambda one: field_text(one, "to"),
    "cc": lambda one: field_text(one, "cc"),
    "bcc": lambda one: field_text(one, "bcc"),
    "base": lambda one: casemap(base_subject(one.subject)[0]),
    "by-from": lambda one: _local(one.from_),
    "by-to": lambda one: _local(one.to),
    "by-cc": lambda one: _local(one.cc),
    "as-from": lambda one: _shown(one.from_),
    "as-to": lambda one: _shown(one.to),
}
_PIECES: dict[str, Callable[[Summary], bytes | None]] = {
    "envelope": lambda one: one.envelope,
    "struct": lambda one: one.bodystructure,
}
_FIELDS = "fields"
KINDS = (*_NUMBERS, *_TEXTS, "thread", *_PIECES, _FIELDS)
"""Every kind of page."""
OF_ROWS = frozenset({"blob", "size", "arrival"})
"""Kinds that need no summary."""


def column_type(kind: str) -> type[Numbers] | type[Texts] | type[Threads] | type[Pieces]:
    """What a kind of column is made of."""
    if kind in _PIECES:
        return Pieces
    return Numbers if kind in _NUMBERS else Texts if kind in _TEXTS else Threads


def opened(kind: str, packed: bytes) -> Column | Fields:
    """A page of this kind. Raises `ValueError`."""
    return Fields.unpack(packed) if kind == _FIELDS else column_type(kind).joined([packed])


def page_of(kind: str, rows: Sequence[Row], summaries: dict[int, Summary]) -> Column | Fields:
    """A page of these rows."""
    if kind != _FIELDS:
        return made(kind, rows, summaries)
    known = [(row.uid, summaries.get(row.blob)) for row in rows]
    return Fields.of([(uid, one.fields if one is not None else None) for uid, one in known])


def made(kind: str, rows: Sequence[Row], summaries: dict[int, Summary]) -> Column:
    """A column of these rows; a message without a summary has empty facts."""
    uids = [row.uid for row in rows]
    if kind in _NUMBERS:
        number = _NUMBERS[kind]
        return Numbers.of(uids, [number(row, summaries.get(row.blob)) for row in rows])
    if kind in _TEXTS:
        text = _TEXTS[kind]
        found = (summaries.get(row.blob) for row in rows)
        return Texts.of(uids, [text(one) if one is not None else "" for one in found])
    if kind in _PIECES:
        piece = _PIECES[kind]
        known = [(row.uid, summaries.get(row.blob)) for row in rows]
        return Pieces.of([(uid, piece(one) if one is not None else None) for uid, one in known])
    out = Threads()
    for row in rows:
        one = summaries.get(row.blob)
        if one is None:
            out.add(row.uid, 0, False, ())
            continue
        refs = one.references or ((one.in_reply_to,) if one.in_reply_to else ())
        identity = hashed(one.message_id) if one.message_id else 0
        out.add(row.uid, identity, base_subject(one.subject)[1], [hashed(ref) for ref in refs])
    return out
