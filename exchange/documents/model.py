# SPDX-License-Identifier: AGPL-3.0-or-later
"""Values of a document: its key, its sealed fields, its row, files, events and recipients."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any, NamedTuple


class DocumentRef(NamedTuple):
    """A document's key: the number of the agency that has it, and its number there."""

    agency: int
    document: int

    @property
    def id(self) -> str:
        """``3-17``: the internal id in pages, JSON and commands."""
        return f"{self.agency}-{self.document}"

    @property
    def subject(self) -> str:
        """What ledger entries about it are about until it has a DocumentId."""
        return f"document/{self.id}"


@dataclass(frozen=True, slots=True)
class Fields:
    """What is sealed with a document's row. Codes, names and texts as they stand in the edXML."""

    subject: str = ""
    kind: str = ""
    "Name of the kind."
    number: str = ""
    "Number and notation as shown: ``12/TB-VP``; empty before numbering."
    notation: str = ""
    unit: str = ""
    document_id: str = ""
    rule_id: str = ""
    "The form of Decision 28/2018 (code, year, running number), kept beside the dated one."
    place: str = ""
    organ_code: str = ""
    organ_name: str = ""
    to_codes: tuple[str, ...] = ()
    signer: str = ""
    "Address of the competent person (outgoing)."
    signer_name: str = ""
    signer_title: str = ""
    competence: str = ""
    drafter: str = ""
    clerk: str = ""
    file_name: str = ""
    pages: int = 0
    due_date: str = ""
    public_code: str = ""
    key_code: str = ""
    "The agency code under which the signer wrapped the document's key."
    packet_digest: str = ""
    other_packets: tuple[tuple[str, str], ...] = ()
    "(code, packet digest) of the receivers that were sent a packet of their own (OpenPGP)."
    reason: str = ""
    "Why it is held, refused or void, for the clerk."
    reason_en: str = ""
    remarks: tuple[str, ...] = ()
    "What the checks on receipt said, one line each: rule id and words."
    official: bool = False
    "All signatures that give the value of an original were there and valid."
    verdicts: tuple[str, ...] = ()
    "Of each PDF on receipt: name, verdict and sub-indication."
    arrival_number: str = ""
    arrived_us: int = 0
    message_id: str = ""
    initials: tuple[str, ...] = ()
    "Addresses of those who initial the draft (ký nháy), in their order."
    co_signers: tuple[str, ...] = ()
    "Addresses of those who sign after the signer, in their order."
    co_codes: tuple[str, ...] = ()
    "The agency of each of them: another than the issuing one issues jointly (liên tịch), and seals."
    places: str = ""
    "Where the clerk put the fields (JSON: field → page, left, bottom, width, height); empty: the usual places."

    @property
    def people(self) -> frozenset[str]:
        """Addresses of everybody who drafts, initials, signs or issues it."""
        named = {self.drafter, self.signer, self.clerk, *self.initials, *self.co_signers}
        return frozenset(named - {""})

    def packet_for(self, code: str) -> str:
        """The digest of the packet that was sent to an agency."""
        return dict(self.other_packets).get(code, self.packet_digest)

    @property
    def joint_codes(self) -> tuple[str, ...]:
        """The agencies that issue it together with ``organ_code``, in the order of their signers."""
        return tuple(dict.fromkeys(code for code in self.co_codes if code != self.organ_code))

    def as_json(self) -> bytes:
        """For sealing."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def read(cls, data: bytes) -> Fields:
        """The inverse of `as_json`; members of later versions of the program are left out."""
        told: dict[str, Any] = json.loads(data)
        known = {one.name for one in fields(cls)}
        told["other_packets"] = tuple((code, digest) for code, digest in told.get("other_packets", ()))
        lists = ("to_codes", "remarks", "verdicts", "initials", "co_signers", "co_codes")
        kept: dict[str, Any] = {
            name: tuple(value) if name in lists else value for name, value in told.items() if name in known
        }
        return cls(**kept)


@dataclass(frozen=True, slots=True)
class Document:
    """One row. Times are µs UTC. ``year``, ``sequence`` and ``serial`` name its row of the register."""

    ref: DocumentRef
    direction: str
    state: str
    kind: int
    business: str
    priority: int
    partner: str
    dated: date | None
    created_us: int
    updated_us: int
    year: int | None
    sequence: str | None
    serial: int | None
    wrapped_key: bytes = field(repr=False)
    fields: Fields
    packet_digest: bytes | None = None

    @property
    def id(self) -> str:
        """The internal id."""
        return self.ref.id

    @property
    def ledger_subject(self) -> str:
        """What its ledger entries are about: the DocumentId, or the internal id before numbering."""
        return self.fields.document_id or self.ref.subject


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a document. ``role``: draft, prepared (waits for a yes), signing (not all have signed), signed,
    sealing (not all have sealed), issued, annex, annex-sealed, edxml, packet, attachment, receipt, stamp.
    """

    file: int
    role: str
    name: str
    media_type: str
    size: int
    sha256: str
    path: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a document. ``detail`` is the ledger entry's pending id; ``told`` who and why."""

    event: int
    kind: str
    at_us: int
    detail: int | None
    partner: str
    status: str
    proved: bool
    file: int | None
    told: dict[str, str]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A receiving agency of an outgoing document and what became of it there."""

    recipient: int
    code: str
    state: str
    outcome: str
    updated_us: int


@dataclass(frozen=True, slots=True)
class Approval:
    """A recorded yes: ``kind`` is text, initial, content, form or seal; ``digest`` (hex SHA-256) of what was seen."""

    approval: int
    kind: str
    by: str
    digest: str
    mode: str
    at_us: int
    proof: str = ""
    "The passkey's approval (JSON), which goes into the evidence."
