# SPDX-License-Identifier: AGPL-3.0-or-later
"""The receipt: one file ``….receipt.json`` that proves one event of one document at one agency.

Canonical JSON (sorted names, two blanks, UTF-8, a line end), so that equal receipts are equal bytes and a
reader who writes again what was read sees any changed byte::

    congvan_receipt  1
    document         the DocumentId; the subject of the ledger entry
    event            what happened: ``event``, ``status`` (edXML code or ""), ``packet`` (packet digest),
                     ``from``, ``to`` (agency codes), ``issuer`` (whose record it is), and further texts
    time             of the ledger entry, Vietnam time
    nonce            with it document and event are the commitment in the entry
    entry            index, leaf, inclusion proof, signed checkpoint (one signature, the log's)
    log              vkey of the log, its certificate with the issuers (``log_key``)
    act              for acts of a person: the agency's signature over document and event
                     (``statement_bytes("receipt-act", …)``) and its certificates; else null
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.clock import iso_local
from config.refusal import Refused
from exchange.edxml.statuses import PERSONAL
from exchange.sealing.judging import load_certificate
from policy.ledger import checkpoint as notes
from policy.ledger.entries import Disclosure
from policy.ledger.leaf import NONCE_BYTES, Leaf, canonical, decode, valid_kind
from policy.ledger.receipt import Proof, ReceiptWrong, from_json

VERSION = 1
SUFFIX = ".receipt.json"
ACT_LABEL = "receipt-act"
MAX_BYTES = 64 * 1024
_REQUIRED = ("event", "status", "packet", "from", "to", "issuer")
_MEMBERS = {"congvan_receipt", "document", "event", "time", "nonce", "entry", "log", "act"}


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. ``event`` is a word such as ``arrived``; ``more`` holds further texts (reason …)."""

    event: str
    status: str
    packet: str
    sender: str
    recipient: str
    issuer: str
    more: tuple[tuple[str, str], ...] = ()

    def detail(self) -> dict[str, str]:
        """The detail of the ledger entry."""
        values = (self.event, self.status, self.packet, self.sender, self.recipient, self.issuer)
        return {**dict(self.more), **dict(zip(_REQUIRED, values, strict=True))}

    @property
    def kind(self) -> str:
        """The kind of the ledger entry."""
        return f"document.{self.event}"

    @property
    def personal(self) -> bool:
        """Whether it is an act of a person, which the agency signs."""
        return self.status in PERSONAL


@dataclass(frozen=True, slots=True)
class Act:
    """The agency's signature (DER) on an act, and its certificates, the agency's first."""

    signature: bytes
    certificates: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as read; nothing is verified but its form."""

    document: str
    event: Event
    nonce: bytes
    proof: Proof
    log_vkey: str
    log_certificates: tuple[x509.Certificate, ...]
    act: Act | None

    @property
    def leaf(self) -> Leaf:
        """The ledger entry."""
        return decode(self.proof.leaf)


class NotReceipt(Refused):
    """The bytes are no receipt in its canonical form; ``where`` names the member."""

    def __init__(self, where: str) -> None:
        super().__init__(
            "not-a-receipt",
            f"Không phải biên nhận đúng chuẩn: {where}.",
            f"Not a receipt in its canonical form: {where}.",
        )
        self.where = where


def act_body(document: str, event: Event) -> bytes:
    """What the agency signs, with the label ``ACT_LABEL`` (``signing.statement``)."""
    return canonical(document, event.detail())


def file_name(event: Event, index: int) -> str:
    """The name under which a receipt travels: ``03-H12.11-1234.receipt.json``."""
    issuer = "".join(c if c.isalnum() or c in ".-" else "_" for c in event.issuer if c.isascii())[:40]
    return f"{event.status or event.event}-{issuer or 'x'}-{index}{SUFFIX}"


def write_receipt(receipt: Receipt) -> bytes:
    """The bytes of a receipt."""
    act = receipt.act
    value = {
        "congvan_receipt": VERSION,
        "document": receipt.document,
        "event": receipt.event.detail(),
        "time": iso_local(receipt.leaf.at_us),
        "nonce": _b64(receipt.nonce),
        "entry": receipt.proof.as_json(),
        "log": {"vkey": receipt.log_vkey, "certificates": _ders(receipt.log_certificates)},
        "act": None
        if act is None
        else {"signature": _b64(act.signature), "certificates": _ders(act.certificates)},
    }
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2) + "\n").encode("utf-8")


def read_receipt(data: bytes) -> Receipt:
    """Read a receipt strictly. Raises ``NotReceipt`` and nothing else."""
    if len(data) > MAX_BYTES:
        raise NotReceipt("size")
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotReceipt("JSON") from None
    if not isinstance(value, dict) or set(value) != _MEMBERS or value["congvan_receipt"] != VERSION:
        raise NotReceipt("congvan_receipt")
    where = "document"
    try:
        document = _string(value["document"], 200)
        where = "event"
        event = _event(value["event"])
        where = "nonce"
        nonce = _unb64(value["nonce"])
        if len(nonce) != NONCE_BYTES:
            raise NotReceipt(where)
        where = "entry"
        proof = from_json(_mapping(value["entry"]))
        decode(proof.leaf)
        if len(notes.read(proof.checkpoint).signatures) != 1:
            raise NotReceipt(where)
        where = "log"
        log = _mapping(value["log"])
        vkey, certificates = _string(log["vkey"], 1000), _certificates(log["certificates"])
        where = "act"
        act = None
        if value["act"] is not None:
            member = _mapping(value["act"])
            act = Act(_unb64(member["signature"]), _certificates(member["certificates"]))
    except (ValueError, TypeError, KeyError, ReceiptWrong, notes.CheckpointWrong, binascii.Error):
        raise NotReceipt(where) from None
    receipt = Receipt(document, event, nonce, proof, vkey, certificates, act)
    again = _again(receipt)
    if again != data:
        raise NotReceipt(_first_difference(data, again))
    return receipt


def _again(receipt: Receipt) -> bytes:
    try:
        return write_receipt(receipt)
    except (ValueError, OverflowError, OSError):
        raise NotReceipt("time") from None


def _first_difference(data: bytes, again: bytes) -> str:
    """The line in which two texts differ first."""
    pairs = zip(data.split(b"\n"), again.split(b"\n"), strict=False)
    line = next((i for i, (one, two) in enumerate(pairs, 1) if one != two), 0)
    return f"line {line}" if line else "end of file"


def event_of(detail: Mapping[str, Any]) -> Event:
    """The event in the detail of a ledger entry. Raises ``NotReceipt``."""
    try:
        return _event(detail)
    except (TypeError, KeyError):
        raise NotReceipt("event") from None


def receipt_of(
    disclosed: Disclosure,
    proof: Proof,
    log_vkey: str,
    log_certificates: Sequence[x509.Certificate],
    act: Act | None = None,
) -> Receipt:
    """The receipt of a ledger entry whose detail is an ``Event.detail()``. Raises ``NotReceipt``."""
    event = event_of(disclosed.detail)
    return Receipt(disclosed.subject, event, disclosed.nonce, proof, log_vkey, tuple(log_certificates), act)


def _event(value: object) -> Event:
    members = _mapping(value)
    if len(members) > 40 or not all(isinstance(one, str) for one in members.values()):
        raise NotReceipt("event")
    found = [_string(members[name], 500) for name in _REQUIRED]
    more = tuple(sorted((name, text) for name, text in members.items() if name not in _REQUIRED))
    event = Event(found[0], found[1], found[2], found[3], found[4], found[5], more)
    if not valid_kind(event.kind):
        raise NotReceipt("event")
    return event


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _string(value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise TypeError("not a text of that length")
    return value


def _certificates(value: object) -> tuple[x509.Certificate, ...]:
    if not isinstance(value, list) or len(value) > 5:
        raise TypeError("not a list of certificates")
    return tuple(load_certificate(_unb64(one)) for one in value)


def _ders(certificates: Sequence[x509.Certificate]) -> list[str]:
    return [_b64(one.public_bytes(Encoding.DER)) for one in certificates]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: object) -> bytes:
    return base64.b64decode(_string(text, 16_000), validate=True)
