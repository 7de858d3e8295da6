# SPDX-License-Identifier: AGPL-3.0-or-later
"""The packet mail in OpenPGP form, for partners that have nothing else (RFC 3156, DESIGN 4.14).

Outside: the headers of `packet_form`, then ``multipart/encrypted``. Inside what we write is the same signed part,
with a detached OpenPGP signature beside it (``multipart/signed``, RFC 3156 §6.1); a partner may also sign and
encrypt in one step (§6.2), with any boundaries and any header text around the same fields. ``Congvan-Recipients``
is the SHA-256 of the recipients' fingerprints, so the signature says to which keys it was sealed.

*Packet digest*: SHA-256 (hex) of the OpenPGP message in octets, without its armour.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses

from exchange.sealing import packet_form as form
from exchange.sealing.mail_parts import Malformed, crlf, decoded, headers_of, sender_of, two_parts
from exchange.sealing.openpgp_wire import dearmour
from exchange.sealing.packet_form import Contents, Envelope, PacketBroken
from exchange.sealing.recipients import CannotOpen

_SIGNATURE = "application/pgp-signature"
_ENCRYPTED = re.compile(rb"(?mi)^Content-Type:[ \t]*multipart/encrypted\b")
_XML = ("application/xml", "text/xml")
_MOST_PARTS = form.MAX_RECEIPTS + 20


@dataclass(frozen=True, slots=True)
class Payload:
    """What was inside: octets that are signed, the detached signature over them (b"" when made in one step)."""

    signed_part: bytes
    signature: bytes


def is_openpgp_mail(mail: bytes) -> bool:
    """Whether a packet mail is in OpenPGP form."""
    return _ENCRYPTED.search(mail[: 64 * 1024].replace(b"\r\n", b"\n").partition(b"\n\n")[0]) is not None


def fingerprints_digest(fingerprints: Sequence[str]) -> str:
    """SHA-256 (hex) of the recipients' primary fingerprints, sorted, upper case, one a line."""
    lines = "".join(f"{one.upper()}\n" for one in sorted(set(fingerprints)))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_openpgp_mail(envelope: Envelope, armoured: bytes) -> bytes:
    """The packet mail around an OpenPGP message, armoured with its checksum: gpg 2.2 misreads some without it."""
    boundary = form.boundary_of(envelope, "openpgp")
    head = [
        *form.envelope_lines(envelope),
        "MIME-Version: 1.0",
        "Congvan-Packet: 1",
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";',
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: application/pgp-encrypted",
        "",
        "Version: 1",
        "",
        f"--{boundary}",
        'Content-Type: application/octet-stream; name="encrypted.asc"',
        "",
    ]
    return form.text_of(head) + crlf(armoured) + form.text_of([f"--{boundary}--"])


def write_openpgp_signed(envelope: Envelope, signed_part: bytes, signature: bytes) -> bytes:
    """The multipart/signed entity that gets encrypted; ``signature`` in armour."""
    boundary = form.boundary_of(envelope, "signed")
    head = [
        f'Content-Type: multipart/signed; protocol="{_SIGNATURE}"; micalg=pgp-sha256;',
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
    ]
    between = ["", f"--{boundary}", f'Content-Type: {_SIGNATURE}; name="signature.asc"', ""]
    closing = form.text_of([f"--{boundary}--"])
    return b"".join((form.text_of(head), signed_part, form.text_of(between), signature, closing))


def read_openpgp_mail(mail: bytes) -> tuple[Envelope, bytes]:
    """(envelope, OpenPGP message in octets) of a packet mail, also as others write it. Raises `PacketBroken`."""
    if len(mail) > form.MAX_MAIL:
        raise PacketBroken("size")
    head, _, body = crlf(mail).partition(b"\r\n\r\n")
    headers = headers_of(head)
    try:
        _, part, content = two_parts(headers, body)
        return _envelope(headers, head), dearmour(decoded(part, content))
    except (Malformed, CannotOpen):
        raise PacketBroken("OpenPGP") from None


def read_payload(content: bytes) -> Payload:
    """The parts of what an OpenPGP message held. Raises `PacketBroken`."""
    content = crlf(content)
    head, _, body = content.partition(b"\r\n\r\n")
    headers = headers_of(head)
    if headers.get_content_type() != "multipart/signed":
        return Payload(content, b"")
    try:
        signed_part, part, signature = two_parts(headers, body)
        if part.get_content_type() != _SIGNATURE:
            raise PacketBroken("multipart/signed")
        return Payload(signed_part, decoded(part, signature))
    except Malformed:
        raise PacketBroken("multipart/signed") from None


def read_contents(signed_part: bytes, outside: Envelope) -> Contents:
    """The edXML and receipts in a signed part; header fields repeated in it must be those outside.

    Raises `PacketBroken`.
    """
    head, gap, _ = signed_part.partition(b"\r\n\r\n")
    headers = headers_of(head)
    if not gap:
        raise PacketBroken("MIME")
    inside = _envelope(headers, head)
    if any(
        given and given != meant
        for given, meant in (
            (inside.sender, outside.sender),
            (inside.message_id, outside.message_id),
            (inside.recipients, outside.recipients),
        )
    ):
        raise PacketBroken("header")
    edxml: list[tuple[str, bytes]] = []
    receipts: list[tuple[str, bytes]] = []
    for name, kind, data in _files(signed_part):
        if kind in _XML or name.lower().endswith(".edxml"):
            edxml.append((name, data))
        elif kind == "application/json":
            receipts.append((name, data))
    if len(edxml) != 1 or len(receipts) > form.MAX_RECEIPTS:
        raise PacketBroken("MIME")
    named = str(headers.get("Congvan-Recipients", "")).strip()
    return Contents(inside, named, edxml[0][0], edxml[0][1], tuple(receipts))


def _files(signed_part: bytes) -> Iterator[tuple[str, str, bytes]]:
    """(safe name, type, bytes) of each part that is a file."""
    message = BytesParser().parsebytes(signed_part)
    for count, part in enumerate(message.walk()):
        if count > _MOST_PARTS or part.defects:
            raise PacketBroken("MIME")
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        try:
            data, named = part.get_payload(decode=True), part.get_filename() or ""
        except (ValueError, LookupError):  # a character set or name that the parser trips over
            raise PacketBroken("MIME") from None
        name = re.sub(r"[^A-Za-z0-9._-]", "_", named)[-150:].lstrip("._-")
        if isinstance(data, bytes) and (name or kind in _XML):
            yield name or "document.edxml", kind, data


def _envelope(headers: Message, head: bytes) -> Envelope:
    addresses = getaddresses([str(one) for one in headers.get_all("To", [])])
    recipients = tuple(sorted(address.lower() for _, address in addresses))
    message_id = str(headers.get("Message-ID", "")).strip()
    return Envelope(sender_of(head), recipients, str(headers.get("Date", "")).strip(), message_id)
