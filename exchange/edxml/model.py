# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an edXML packet says, as frozen values (QCVN 102:2016/BTTTT).

Every leaf is the stripped text of its element, ``""`` when the element is absent or empty: the field's
own spelling (dates, codes) is kept, and ``dates`` and ``codes`` interpret it. An all-empty group reads
as absent (``None`` or an empty tuple), because live packets write empty elements for absent ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NAMESPACE = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
"""The only namespace accepted."""

NEW, RECALL, UPDATE, REPLACEMENT = "0", "1", "2", "3"
"""BussinessDocType."""


@dataclass(frozen=True, slots=True)
class Organ:
    """``From`` or ``To``: an agency as a packet names it."""

    organ_id: str = ""
    name: str = ""
    in_charge: str = ""
    address: str = ""
    email: str = ""
    telephone: str = ""
    fax: str = ""
    website: str = ""


@dataclass(frozen=True, slots=True)
class Staff:
    """``StaffInfo``: who handled it."""

    department: str = ""
    staff: str = ""
    email: str = ""
    mobile: str = ""


@dataclass(frozen=True, slots=True)
class ResponseFor:
    """The document answered; ``code`` is the full ``7816/VPCP-TTĐT``."""

    organ_id: str = ""
    code: str = ""
    promulgation_date: str = ""
    document_id: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A change of the list of receivers in an update packet (type 0 or 1: unconfirmed which is which)."""

    organ_id: str = ""
    receiver_type: str = ""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A replaced document and the bodies for which it is replaced."""

    document_id: str = ""
    organ_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Business:
    """``Bussiness``: what the packet does (new, recall, update, replacement)."""

    kind: str = NEW
    reason: str = ""
    document_id: str = ""
    document_info: str = ""
    document_receiver: str = ""
    receivers: tuple[Receiver, ...] = ()
    staff: Staff | None = None
    paper: str = ""
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """One hop; ``timestamp`` is ``yyyy/MM/dd HH:mm:ss`` in Vietnam time."""

    organ_id: str = ""
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A line of the manifest. ``content_id`` is kept without the prefix ``cid:``."""

    content_id: str = ""
    content_type: str = ""
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment as it travels: ``data`` is the base64-decoded content (usually a ZIP of one entry).

    ``sound`` is false when the text was not base64; then ``data`` is empty.
    """

    content_id: str = ""
    name: str = ""
    content_type: str = ""
    description: str = ""
    data: bytes = field(default=b"", repr=False)
    sound: bool = True


@dataclass(frozen=True, slots=True)
class DocumentPacket:
    """A document packet: header, trace, manifest, attachments."""

    sender: Organ
    to: tuple[Organ, ...] = ()
    code_number: str = ""
    code_notation: str = ""
    place: str = ""
    promulgation_date: str = ""
    type_code: str = ""
    type_detail: str = ""
    type_name: str = ""
    subject: str = ""
    content: str = ""
    competence: str = ""
    position: str = ""
    full_name: str = ""
    due_date: str = ""
    to_places: tuple[str, ...] = ()
    priority: str = ""
    sphere: str = ""
    typer_notation: str = ""
    copies: str = ""
    pages: str = ""
    direction: str = ""
    appendixes: tuple[str, ...] = ()
    response_for: tuple[ResponseFor, ...] = ()
    task_codes: tuple[str, ...] = ()
    steering_type: str = ""
    document_id: str = ""
    application_type: str = ""
    traces: tuple[Trace, ...] = ()
    business: Business = Business()
    references: tuple[Reference, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    @property
    def number(self) -> str:
        """Number and notation as printed: ``12/TB-VP``."""
        return f"{self.code_number}/{self.code_notation}"

    @property
    def kind(self) -> str:
        """BussinessDocType: ``"0"`` new, ``"1"`` recall, ``"2"`` update, ``"3"`` replacement."""
        return self.business.kind


@dataclass(frozen=True, slots=True)
class StatusPacket:
    """A status packet. Its receiver is ``response_for.organ_id``: there is no To (edxml.md section 5)."""

    sender: Organ
    response_for: ResponseFor
    status_code: str = ""
    description: str = ""
    timestamp: str = ""
    staff: Staff | None = None


Packet = DocumentPacket | StatusPacket


@dataclass(frozen=True, slots=True)
class Problem:
    """One remark on a packet: the element, the rule, how heavy (``block``, ``warn``), in two languages."""

    element: str
    rule: str
    severity: str
    vi: str
    en: str
