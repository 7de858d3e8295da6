# SPDX-License-Identifier: AGPL-3.0-or-later
"""The form of a packet mail: writing it, and reading exactly what was written.

Outer mail (RFC 5322, CRLF), headers in this order and no others; a mail system may put trace headers
(Received, Return-Path, Authentication-Results, DKIM-Signature …) in front::

    From, To, Subject (neutral), Date, Message-ID, MIME-Version, Congvan-Packet: 1,
    Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; name="smime.p7m"
    Content-Transfer-Encoding: base64, Content-Disposition, then base64 in lines of 64

Inside (RFC 8551 §3.5.3): ``multipart/signed`` of (1) the *signed part*, ``multipart/mixed`` that repeats
From, To, Subject, Date and Message-ID, and carries ``Congvan-Recipients``: SHA-256 of all RecipientInfos
(so the organisation's signature covers for whom it was sealed), a short text, the edXML
(``application/xml``), receipts (``application/json``); (2) the detached CMS of the organisation.
Everything is base64 and boundaries follow from the Message-ID, so equal values give equal bytes: whoever
opens a packet writes it again from what was read and compares; every byte is covered.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass

from config.refusal import Refused

SUBJECT = "=?utf-8?B?VsSDbiBi4bqjbiDEkWnhu4duIHThu60=?="
"""“Văn bản điện tử”: says nothing about the content."""
TEXT = (
    "Gói văn bản điện tử được ký số và mã hóa. Mở bằng phần mềm trao đổi văn bản của cơ quan.\r\n"
    "A signed and encrypted packet of an official document. Open it with the agency's exchange software.\r\n"
)
MAX_MAIL = 150_000_000
MAX_RECEIPTS = 200
_LINE = 64
_BLOCK = 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~@-]{3,250}>")
_DATE = re.compile(r"[A-Za-z0-9,:+ -]{10,60}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OUTER = ("From", "To", "Subject", "Date", "Message-ID")


class PacketBroken(Refused):
    """It is not, byte for byte, the packet that was written; ``where`` names the layer."""

    def __init__(self, where: str) -> None:
        super().__init__(
            "packet-broken",
            f"Gói tin không nguyên vẹn: {where}.",
            f"The packet is not as it was written: {where}.",
        )
        self.where = where


@dataclass(frozen=True, slots=True)
class Envelope:
    """The addresses and ids of a packet mail. ``date`` is RFC 5322 text."""

    sender: str
    recipients: tuple[str, ...]
    date: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What the signed part says. ``receipts`` are (file name, bytes)."""

    envelope: Envelope
    recipients_digest: str
    edxml_name: str
    edxml: bytes
    receipts: tuple[tuple[str, bytes], ...] = ()


def recipients_digest(infos: tuple[bytes, ...] | list[bytes]) -> str:
    """SHA-256 (hex) of the RecipientInfos in DER SET order."""
    return hashlib.sha256(b"".join(sorted(infos))).hexdigest()


def write_signed_part(contents: Contents) -> bytes:
    """The first part of the multipart/signed: what the organisation signs. Raises ``Refused``."""
    _sane(contents)
    boundary = boundary_of(contents.envelope, "mixed")
    lines = [
        f'Content-Type: multipart/mixed; boundary="{boundary}"; hp="cipher"',
        *envelope_lines(contents.envelope),
        f"Congvan-Recipients: {contents.recipients_digest}",
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
    ]
    parts = [text_of(lines), base64_lines(TEXT.encode())]
    for kind, name, data in _files(contents):
        head = [
            f"--{boundary}",
            f'Content-Type: {kind}; name="{name}"',
            "Content-Transfer-Encoding: base64",
            f'Content-Disposition: attachment; filename="{name}"',
            "",
        ]
        parts += [text_of(head), base64_lines(data)]
    parts.append(text_of([f"--{boundary}--"]))
    return b"".join(parts)


def read_signed_part(data: bytes) -> Contents:
    """The inverse of ``write_signed_part``. Raises ``PacketBroken``."""
    head, sections = _multipart(data, "mixed")
    headers = _headers(head)
    envelope = _envelope(headers)
    edxml: list[tuple[str, bytes]] = []
    receipts: list[tuple[str, bytes]] = []
    for section in sections[1:]:
        top, _, body = section.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"\r\n]{1,200})"', top)
        if name is None:
            raise PacketBroken("MIME")
        target = edxml if top.startswith(b"Content-Type: application/xml") else receipts
        target.append((name[1].decode("ascii", "replace"), _unbase64(body, "MIME")))
    if len(edxml) != 1 or len(receipts) > MAX_RECEIPTS:
        raise PacketBroken("MIME")
    digest = headers.get("Congvan-Recipients", "")
    contents = Contents(envelope, digest, edxml[0][0], edxml[0][1], tuple(receipts))
    if write_signed_part(contents) != data:
        raise PacketBroken("MIME")
    return contents


def write_signed(envelope: Envelope, signed_part: bytes, signature: bytes) -> bytes:
    """The multipart/signed entity, which is what gets encrypted."""
    boundary = boundary_of(envelope, "signed")
    head = [
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg="sha-256";',
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
    ]
    tail = [
        "",
        f"--{boundary}",
        'Content-Type: application/pkcs7-signature; name="smime.p7s"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="smime.p7s"',
        "",
    ]
    return b"".join(
        (text_of(head), signed_part, text_of(tail), base64_lines(signature), text_of([f"--{boundary}--"]))
    )


def read_signed(data: bytes) -> tuple[bytes, bytes]:
    """(signed part, CMS). The caller writes it again and compares. Raises ``PacketBroken``."""
    _, sections = _multipart(data, "signed")
    if len(sections) != 2:
        raise PacketBroken("multipart/signed")
    _, _, body = sections[1].partition(b"\r\n\r\n")
    return sections[0].removesuffix(b"\r\n"), _unbase64(body, "multipart/signed")


def write_mail(envelope: Envelope, sealed: bytes) -> bytes:
    """The packet mail around the encrypted CMS."""
    head = [
        *envelope_lines(envelope),
        "MIME-Version: 1.0",
        "Congvan-Packet: 1",
        'Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; name="smime.p7m"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="smime.p7m"',
        "",
    ]
    return text_of(head) + base64_lines(sealed)


def read_mail(mail: bytes) -> tuple[Envelope, bytes]:
    """(envelope, encrypted CMS) of a packet mail; trace headers in front are passed over.

    A file saved with LF line ends throughout is read as if it had CRLF. Raises ``PacketBroken``.
    """
    if len(mail) > MAX_MAIL:
        raise PacketBroken("size")
    if b"\r" not in mail:
        mail = mail.replace(b"\n", b"\r\n")
    head, gap, body = mail.partition(b"\r\n\r\n")
    start = _own_headers(head)
    if not gap or start < 0:
        raise PacketBroken("mail")
    envelope = _envelope(_headers(head[start:]))
    sealed = _unbase64(body, "mail")
    written = write_mail(envelope, sealed)
    if len(written) != len(mail) - start or not mail.endswith(written):
        raise PacketBroken("mail")
    return envelope, sealed


def is_packet(head: bytes) -> bool:
    """Whether a mail's header says that it is a packet."""
    return re.search(rb"(?mi)^Congvan-Packet:[ \t]*1[ \t]*\r?$", head) is not None


_TRACE = re.compile(
    rb"(?:Received|Return-Path|Delivered-To|X-[A-Za-z0-9-]+|DKIM-Signature|ARC-[A-Za-z-]+"
    rb"|Authentication-Results|Received-SPF|Congvan-(?!Packet|Recipients)[A-Za-z-]+):[^\r\n]*\r\n"
    rb"(?:[ \t][^\r\n]*\r\n)*",
    re.I,
)


def _own_headers(head: bytes) -> int:
    """Where the headers we wrote begin, -1 when they don't."""
    start = 0
    while match := _TRACE.match(head, start):
        start = match.end()
    return start if head.startswith(b"From: ", start) else -1


def _files(contents: Contents) -> list[tuple[str, str, bytes]]:
    receipts = [("application/json", name, data) for name, data in contents.receipts]
    return [("application/xml", contents.edxml_name, contents.edxml), *receipts]


def envelope_lines(envelope: Envelope) -> list[str]:
    """The header lines that say what the envelope says."""
    return [
        f"From: {envelope.sender}",
        f"To: {f',{chr(13)}{chr(10)} '.join(envelope.recipients)}",
        f"Subject: {SUBJECT}",
        f"Date: {envelope.date}",
        f"Message-ID: {envelope.message_id}",
    ]


def boundary_of(envelope: Envelope, layer: str) -> str:
    """The boundary of a layer, which follows from the Message-ID."""
    digest = hashlib.sha256(f"{layer}\n{envelope.message_id}".encode()).hexdigest()
    return f"congvan-{layer}-{digest[:32]}"


def text_of(lines: list[str]) -> bytes:
    """Lines of ASCII, each with CRLF."""
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 64 with CRLF.

    Whole blocks of lines are laid out column by column: strided copies, 20 times faster than line by line.
    """
    encoded = binascii.b2a_base64(data, newline=False)
    block = _LINE * _BLOCK
    laid = bytearray(b"\r\n" * (_BLOCK * (_LINE + 2) // 2))
    pieces: list[bytes] = []
    whole = len(encoded) - len(encoded) % block
    for start in range(0, whole, block):
        lines = encoded[start : start + block]
        for column in range(_LINE):
            laid[column :: _LINE + 2] = lines[column::_LINE]
        pieces.append(bytes(laid))
    rest = range(whole, len(encoded), _LINE)
    pieces += [encoded[start : start + _LINE] + b"\r\n" for start in rest]
    return b"".join(pieces)


def _unbase64(text: bytes, where: str) -> bytes:
    try:
        return binascii.a2b_base64(text)  # lenient: what was read is written again and compared
    except (binascii.Error, ValueError):
        raise PacketBroken(where) from None


def _multipart(data: bytes, layer: str) -> tuple[bytes, list[bytes]]:
    """The header block and the sections between the boundaries, each ending in CRLF."""
    head, gap, body = data.partition(b"\r\n\r\n")
    found = re.search(rb'boundary="(congvan-[a-z]+-[0-9a-f]{32})"', head[:400])
    if not gap or found is None:
        raise PacketBroken(layer)
    mark = b"--" + found[1]
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 3 or pieces[0] or pieces[-1] != b"--\r\n" or len(pieces) > MAX_RECEIPTS + 4:
        raise PacketBroken(layer)
    return head, [piece.removeprefix(b"\r\n") + b"\r\n" for piece in pieces[1:-1]]


def _headers(head: bytes) -> dict[str, str]:
    try:
        text = head.decode("ascii")
    except UnicodeDecodeError:
        raise PacketBroken("header") from None
    found: dict[str, str] = {}
    for line in text.replace("\r\n ", " ").split("\r\n"):
        name, _, value = line.partition(": ")
        found.setdefault(name, value)
    return found


def _envelope(headers: dict[str, str]) -> Envelope:
    if any(name not in headers for name in _OUTER):
        raise PacketBroken("header")
    recipients = tuple(headers["To"].split(", "))
    return Envelope(headers["From"], recipients, headers["Date"], headers["Message-ID"])


def _sane(contents: Contents) -> None:
    envelope = contents.envelope
    names = [contents.edxml_name, *(name for name, _ in contents.receipts)]
    if not (
        all(_ADDRESS.fullmatch(one) for one in (envelope.sender, *envelope.recipients))
        and envelope.recipients
        and _MESSAGE_ID.fullmatch(envelope.message_id)
        and _DATE.fullmatch(envelope.date)
        and _DIGEST.fullmatch(contents.recipients_digest)
        and all(_NAME.fullmatch(one) for one in names)
        and len(names) <= MAX_RECEIPTS + 1
    ):
        raise PacketBroken("header")
