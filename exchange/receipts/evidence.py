# SPDX-License-Identifier: AGPL-3.0-or-later
"""The evidence file of one document: everything a stand-alone verifier needs, in one container.

A ZIP, stored, without clock, names in this order, nothing else in it::

    manifest.json             congvan_evidence 1, content_key (hex, opens packet.eml) or "", files: name,
                              size and SHA-256 of each of the others
    packet.eml                the packet mail as sent (no trace headers)
    document.edxml            what the packet holds
    attachments/NN-<name>     the files in the edXML, unpacked (the PDFs)
    receipts/<name>.receipt.json
    certificates/NN.pem       further intermediate certificates
    crls/NN.crl               revocation lists (DER)
    approvals/NN.json         a person's yes by passkey with the passkey's certificates (`exchange.verifying.approval`)
    stamps/NN.tsr             late time-stamps over the packet (RFC 3161 token, DER)

The evidence shows the content anyway, so it also shows the key of that one packet: thereby the ciphertext
that travelled is tied to what is shown. The verifier writes the container again from what it read and
compares, so every byte of the file counts.
"""

from __future__ import annotations

import binascii
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.refusal import Refused
from exchange.edxml.attachments import unpack
from exchange.edxml.model import DocumentPacket
from exchange.edxml.read import read
from exchange.receipts.receipt import SUFFIX
from exchange.sealing.openpgp_form import is_openpgp_mail, read_openpgp_mail, write_openpgp_mail
from exchange.sealing.openpgp_wire import armour
from exchange.sealing.packet_form import MAX_MAIL, read_mail, write_mail

VERSION = 1
MANIFEST, PACKET, EDXML = "manifest.json", "packet.eml", "document.edxml"
MAX_BYTES = 2 * MAX_MAIL
MAX_FILES = 1_000
MEDIA_TYPE = "application/vnd.congvan.evidence+zip"
_CLOCK = (1980, 1, 1, 0, 0, 0)
_NAME = re.compile(r"[^\w.-]+")


class EvidenceBroken(Refused):
    """The container is not, byte for byte, what was written; ``where`` names the file in it."""

    def __init__(self, where: str, offset: int | None = None) -> None:
        at = "" if offset is None else f" (byte {offset})"
        super().__init__(
            "evidence-broken",
            f"Hồ sơ chứng cứ đã bị sửa: {where}{at}.",
            f"The evidence file was altered: {where}{at}.",
        )
        self.where = where


@dataclass(frozen=True, slots=True)
class Evidence:
    """The parts of an evidence file. ``attachments`` and ``receipts`` are (name, bytes)."""

    packet: bytes
    content_key: bytes
    edxml: bytes
    attachments: tuple[tuple[str, bytes], ...] = ()
    receipts: tuple[tuple[str, bytes], ...] = ()
    certificates: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    approvals: tuple[bytes, ...] = ()
    stamps: tuple[bytes, ...] = ()


def make_evidence(
    packet: bytes,
    content_key: bytes,
    edxml: bytes,
    receipts: Sequence[tuple[str, bytes]],
    certificates: Sequence[x509.Certificate] = (),
    crls: Sequence[x509.CertificateRevocationList] = (),
    approvals: Sequence[bytes] = (),
    stamps: Sequence[bytes] = (),
) -> bytes:
    """The evidence file of one document. ``content_key`` comes from building or opening the packet.

    Raises ``Refused`` when the packet or the edXML cannot be read.
    """
    attached = attachments_of(edxml)
    return write_evidence(
        Evidence(
            as_written(packet),
            content_key,
            edxml,
            attached,
            tuple(receipts),
            tuple(certificates),
            tuple(crls),
            tuple(approvals),
            tuple(stamps),
        )
    )


def as_written(packet: bytes) -> bytes:
    """The packet mail in either form as it is written, without trace headers. Raises ``Refused``."""
    if is_openpgp_mail(packet):
        envelope, message = read_openpgp_mail(packet)
        return write_openpgp_mail(envelope, armour("MESSAGE", message))
    return write_mail(*read_mail(packet))


def attachments_of(edxml: bytes) -> tuple[tuple[str, bytes], ...]:
    """(name in the container, bytes) of each attachment of an edXML. Raises ``Refused``."""
    packet = read(edxml).packet
    if not isinstance(packet, DocumentPacket):
        return ()
    found = []
    for number, attachment in enumerate(packet.attachments, 1):
        safe = _NAME.sub("_", attachment.name)[-80:].strip("._") or "file"
        found.append((f"{number:02d}-{safe}", unpack(attachment).data))
    return tuple(found)


def write_evidence(evidence: Evidence) -> bytes:
    """The container's bytes; equal values give equal bytes."""
    files = _files(evidence)
    manifest = {
        "congvan_evidence": VERSION,
        "content_key": evidence.content_key.hex(),
        "files": [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files
        ],
    }
    text = json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=2) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in [(MANIFEST, text.encode("utf-8")), *files]:
            info = zipfile.ZipInfo(name, _CLOCK)
            info.external_attr = 0o600 << 16
            info.create_system = 3
            archive.writestr(info, data)
    return buffer.getvalue()


def read_evidence(data: bytes) -> Evidence:
    """Read an evidence file strictly. Raises ``EvidenceBroken`` naming the file that differs."""
    if len(data) > MAX_BYTES:
        raise EvidenceBroken("size")
    files = _unzip(data)
    manifest = _manifest(files.get(MANIFEST, b""))
    for line in manifest["files"]:
        content = files.get(line["name"])
        if content is None or hashlib.sha256(content).hexdigest() != line["sha256"]:
            raise EvidenceBroken(str(line["name"])[:200])
    evidence = _parts(files, manifest)
    again = write_evidence(evidence)
    if again != data:
        offset = _first_difference(data, again)
        raise EvidenceBroken(_file_at(data, offset), offset)
    return evidence


def is_evidence(data: bytes) -> bool:
    """Whether the bytes begin as an evidence file does."""
    return data.startswith(b"PK\x03\x04") and data[30:43] == MANIFEST.encode()


def _files(evidence: Evidence) -> list[tuple[str, bytes]]:
    return [
        (PACKET, evidence.packet),
        (EDXML, evidence.edxml),
        *((f"attachments/{name}", data) for name, data in evidence.attachments),
        *((f"receipts/{name}", data) for name, data in evidence.receipts),
        *(
            (f"certificates/{number:02d}.pem", one.public_bytes(Encoding.PEM))
            for number, one in enumerate(evidence.certificates, 1)
        ),
        *(
            (f"crls/{number:02d}.crl", one.public_bytes(Encoding.DER))
            for number, one in enumerate(evidence.crls, 1)
        ),
        *((f"approvals/{number:02d}.json", one) for number, one in enumerate(evidence.approvals, 1)),
        *((f"stamps/{number:02d}.tsr", one) for number, one in enumerate(evidence.stamps, 1)),
    ]


def _unzip(data: bytes) -> dict[str, bytes]:
    name = "container"
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > len(data):
                raise EvidenceBroken(name)
            for entry in entries:
                name = entry.filename[:200]
                if entry.compress_type != zipfile.ZIP_STORED or name in found:
                    raise EvidenceBroken(name)
                found[name] = archive.read(entry)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        raise EvidenceBroken(name) from None
    return found


def _manifest(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data.decode("utf-8"))
        if manifest["congvan_evidence"] != VERSION or not isinstance(manifest["content_key"], str):
            raise EvidenceBroken(MANIFEST)
        for line in manifest["files"]:
            if not isinstance(line["name"], str) or not isinstance(line["sha256"], str):
                raise EvidenceBroken(MANIFEST)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise EvidenceBroken(MANIFEST) from None
    return dict(manifest)


def _parts(files: dict[str, bytes], manifest: dict[str, Any]) -> Evidence:
    def under(folder: str) -> list[tuple[str, bytes]]:
        return [(name.removeprefix(folder), data) for name, data in files.items() if name.startswith(folder)]

    if PACKET not in files or EDXML not in files:
        raise EvidenceBroken(PACKET)
    receipts = under("receipts/")
    if any(not name.endswith(SUFFIX) for name, _ in receipts):
        raise EvidenceBroken("receipts")
    where = MANIFEST
    try:
        key = bytes.fromhex(manifest["content_key"])
        where = "certificates"
        certificates = tuple(x509.load_pem_x509_certificate(data) for _, data in under("certificates/"))
        where = "crls"
        crls = tuple(x509.load_der_x509_crl(data) for _, data in under("crls/"))
    except (ValueError, TypeError, binascii.Error):
        raise EvidenceBroken(where) from None
    return Evidence(
        files[PACKET],
        key,
        files[EDXML],
        tuple(under("attachments/")),
        tuple(receipts),
        certificates,
        crls,
        tuple(data for _, data in under("approvals/")),
        tuple(data for _, data in under("stamps/")),
    )


def _first_difference(one: bytes, two: bytes) -> int:
    """The offset of the first byte in which two byte strings differ."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _file_at(data: bytes, offset: int) -> str:
    """The name in the last local file header before ``offset``."""
    start = data.rfind(b"PK\x03\x04", 0, offset + 1)
    directory = data.rfind(b"PK\x01\x02", 0, offset + 1)
    if start < 0 or directory > start:
        return "container"
    length = int.from_bytes(data[start + 26 : start + 28], "little")
    return data[start + 30 : start + 30 + min(length, 200)].decode("utf-8", "replace") or "container"
