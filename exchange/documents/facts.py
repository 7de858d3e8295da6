# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the rules are told about a document at each of its moments (compose, issue, send, receive)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from cryptography import x509

from config.clock import from_datetime, to_local, today_local
from config.refusal import Refused
from exchange.documents.kinds import find_kind, plain_name
from exchange.documents.model import Approval as RecordedApproval
from exchange.documents.model import Document
from exchange.edxml.attachments import unpack
from exchange.edxml.codes import read_date
from exchange.edxml.model import UPDATE, DocumentPacket, Packet, StatusPacket
from exchange.edxml.read import read
from exchange.exchange import Exchange
from exchange.trust.subject import subject_of
from exchange.trust.verdict import Outcome, SignatureVerdict, Verdict
from mailserver.accounts import Account, Agency
from mailserver.delivery import refusal_of
from policy import facts as told
from policy.facts import DocumentFacts, Moment
from policy.judge import Decision, judge

_MOST_IDS = 200


def ask(exchange: Exchange, facts: DocumentFacts) -> Decision:
    """The decision of the rules. Raises `Refused` with the rules' words when they hold or block."""
    decision = judge(facts, exchange.rulebook)
    if not decision.passes:
        raise refusal_of(decision)
    return decision


# --- before a number


def of_draft(
    agency: Agency,
    *,
    kind: str,
    abbreviation: str,
    notation: str,
    subject: str,
    signer: Account,
    receivers: Sequence[Agency],
    draft_digest: bytes,
    text: str,
    secrecy: str = "",
    priority: int = 0,
) -> DocumentFacts:
    """A draft about to be stored."""
    return DocumentFacts(
        moment="compose",
        date_local=today_local(),
        agency_code=agency.code,
        agency_name=agency.name,
        agency_short=agency.short,
        agency_place=agency.place,
        agency_closed=agency.closed_us is not None,
        kind=kind,
        kind_abbreviation=abbreviation or None,
        notation=notation,
        subject=subject,
        secrecy=secrecy or None,
        priority=priority,
        signer=_signer(signer),
        draft_digest=draft_digest,
        receivers=tuple(_receiver(one) for one in receivers),
        text=text[: told.TEXT_LIMIT],
    )


# --- issuing and sending


@dataclass(frozen=True, slots=True)
class Issuing:
    """An outgoing document with everything that issuing looks at. ``last_date``: of the number before."""

    document: Document
    agency: Agency
    signer: Account
    clerk: Account
    receivers: tuple[Agency, ...]
    approvals: tuple[RecordedApproval, ...]
    draft_sha256: str
    number: str
    dated: date
    row_state: str
    signatures: tuple[told.SignatureFacts, ...]
    last_date: date | None = None
    text: str = ""


def of_issue(
    issuing: Issuing, moment: Moment = "issue", packet: DocumentPacket | None = None
) -> DocumentFacts:
    """A document at the moment it is issued, or with its packet at the moment it is sent."""
    fields, agency = issuing.document.fields, issuing.agency
    kind = find_kind(fields.kind)
    content = [one.by for one in issuing.approvals if one.kind == "content"]
    form = [one.by for one in issuing.approvals if one.kind == "form"]
    state = issuing.row_state
    return DocumentFacts(
        moment=moment,
        date_local=today_local(),
        agency_code=agency.code,
        agency_name=agency.name,
        agency_short=agency.short,
        agency_place=agency.place,
        agency_closed=agency.closed_us is not None,
        kind=fields.kind,
        kind_abbreviation=kind.abbreviation or None if kind else None,
        number=issuing.number,
        notation=fields.notation,
        dated=issuing.dated,
        place=fields.place,
        subject=fields.subject,
        priority=issuing.document.priority,
        signer=_signer(issuing.signer),
        actor_role=issuing.clerk.role,
        actor_agency_code=issuing.clerk.agency_code,
        approvals=tuple(
            told.Approval(one.by, bytes.fromhex(one.digest), one.at_us)
            for one in issuing.approvals
            if one.kind == "text"
        ),
        draft_digest=bytes.fromhex(issuing.draft_sha256),
        content_check=content[-1] if content else None,
        form_check=form[-1] if form else None,
        signatures=issuing.signatures,
        numbering=told.Numbering(
            last_date=issuing.last_date,
            given_by_system=True,
            pair_exists=False,
            row_state=state if state in ("numbered", "issued", "void", "reserved") else None,  # type: ignore[arg-type]
            person_signed_before_number=any(one.role == "person" for one in issuing.signatures),
        ),
        receivers=tuple(_receiver(one) for one in issuing.receivers),
        packet=packet_facts(packet) if packet is not None else None,
        attachments=attachment_facts(packet) if packet is not None else (),
        text=issuing.text[: told.TEXT_LIMIT],
        joint_codes=fields.joint_codes,
        seal_code=agency.code,
    )


def foreseen_seal(agency: Agency) -> told.SignatureFacts:
    """The organisation's signature as it will be: so that rules are asked before a number is taken."""
    return told.SignatureFacts(
        role="organisation",
        signer=agency.name,
        verdict="TOTAL-PASSED",
        organisation_code=agency.code,
        revocation="good",
        timestamped=True,
    )


# --- receiving


@dataclass(frozen=True, slots=True)
class Receiving:
    """An incoming packet as the server saw it. ``verdicts`` of its PDFs; None when not looked at."""

    packet: Packet
    size: int
    verdicts: tuple[Verdict, ...] | None
    agency: Agency | None = None
    sender_known: bool | None = None
    already: bool | None = None
    same_number: bool | None = None
    checked: bool = False
    clerk: Account | None = None
    refusing: bool = False
    reason: str = ""
    text: str = ""


def of_arrival(receiving: Receiving, moment: Moment = "receive") -> DocumentFacts:
    """A packet that came in, or (with ``clerk``) is about to be accepted or refused."""
    packet, agency = receiving.packet, receiving.agency
    document = packet if isinstance(packet, DocumentPacket) else None
    own = tuple(code for code in (agency.code, agency.old_code) if code) if agency else ()
    lines = None
    if receiving.verdicts is not None:
        lines = tuple(line for one in receiving.verdicts for line in signature_facts(one.signatures))
    return DocumentFacts(
        moment=moment,
        date_local=today_local(),
        agency_code=packet.sender.organ_id or None,
        agency_name=packet.sender.name or None,
        kind=document.type_name if document else None,
        number=document.code_number if document else None,
        notation=document.code_notation if document else None,
        dated=read_date(document.promulgation_date) if document else None,
        subject=document.subject if document else None,
        actor_role=receiving.clerk.role if receiving.clerk else None,
        actor_agency_code=receiving.clerk.agency_code if receiving.clerk else None,
        signatures=lines,
        packet=packet_facts(packet, receiving.size),
        attachments=attachment_facts(document) if document else (),
        text=receiving.text[: told.TEXT_LIMIT],
        own_codes=own,
        joint_codes=joint_codes_in(receiving.verdicts or (), packet.sender.organ_id),
        already_registered=receiving.already,
        same_number_registered=receiving.same_number,
        refusal_reason=receiving.reason or None,
        refusing=receiving.refusing,
        integrity_checked=receiving.checked,
    )


def facts_of_edxml(data: bytes, moment: Moment) -> DocumentFacts:
    """The facts of an edXML file alone, for ``rules test``: nothing but the file is looked at.

    Signatures and receivers' codes are not known then; completeness counts as checked when it was read.
    """
    try:
        packet = read(data).packet
    except Refused as problem:
        doctype = problem.code == "edxml-doctype" or b"<!DOCTYPE" in data[:65_536].upper()
        broken = told.PacketFacts(well_formed=False, has_doctype=doctype, size=len(data))
        return DocumentFacts(
            moment=moment, date_local=today_local(), packet=broken, integrity_checked=True, subject="?"
        )
    found = of_arrival(Receiving(packet, len(data), None, checked=True), moment)
    if moment in ("issue", "send") and isinstance(packet, DocumentPacket):
        kind = find_kind(packet.type_name)
        names = DocumentFacts.__dataclass_fields__
        values = {name: getattr(found, name) for name in names}
        values |= {
            "kind": plain_name(kind) if kind else packet.type_name,
            "kind_abbreviation": kind.abbreviation or None if kind else None,
            "place": packet.place or None,
            "receivers": tuple(told.Receiver(one.organ_id) for one in packet.to),
        }
        return DocumentFacts(**values)
    return found


def joint_codes_in(verdicts: Sequence[Verdict], own: str) -> tuple[str, ...]:
    """The other agencies whose seals stand beside the sender's on one file: they issue it jointly.

    Whether a person of each signed too is part of the verdict (`exchange.trust.pdf_judge`).
    """
    found: list[str] = []
    for one in verdicts:
        codes = [
            line.organisation_code for line in signature_facts(one.signatures) if line.role == "organisation"
        ]
        if own in codes:
            found += [code for code in codes if code and code != own]
    return tuple(dict.fromkeys(found))


# --- parts


def packet_facts(packet: Packet, size: int = 0) -> told.PacketFacts:
    """The packet as the rules see it."""
    if isinstance(packet, StatusPacket):
        answered = packet.response_for
        return told.PacketFacts(
            kind="status",
            well_formed=True,
            size=size,
            from_codes=(packet.sender.organ_id,),
            status_code=packet.status_code,
            status_organ=answered.organ_id,
            status_document_id=answered.document_id,
            status_code_text=answered.code,
            status_date=read_date(answered.promulgation_date),
        )
    business = packet.business
    flags = (("info", business.document_info), ("receiver", business.document_receiver))
    replaced = [one.document_id for one in business.replacements if one.document_id]
    if business.kind == UPDATE and business.document_id:
        replaced.append(business.document_id)
    return told.PacketFacts(
        well_formed=True,
        size=size,
        from_codes=(packet.sender.organ_id,),
        to_codes=tuple(one.organ_id for one in packet.to),
        document_id=packet.document_id,
        number=packet.code_number,
        notation=packet.code_notation,
        dated=read_date(packet.promulgation_date),
        dated_text=packet.promulgation_date,
        subject=packet.subject,
        type_name=packet.type_name,
        organ_name=packet.sender.name,
        position=packet.position,
        full_name=packet.full_name,
        page_amount=packet.pages,
        copies=packet.copies,
        priority=packet.priority,
        business_type=business.kind,
        update_flags=tuple(name for name, value in flags if value == "1"),
        replaced_ids=tuple(replaced[:_MOST_IDS]),
        references=tuple(one.content_id for one in packet.references),
        attachments=tuple(one.content_id for one in packet.attachments),
    )


def attachment_facts(packet: DocumentPacket) -> tuple[told.Attachment, ...]:
    """The attachments, opened: what they are by their content."""
    found = []
    for one in packet.attachments:
        content = unpack(one)
        zipped = content.data is not one.data and content.data != one.data
        declared = content.found_type if zipped else content.declared_type.lower()
        found.append(
            told.Attachment(
                filename=content.name,
                declared_type=declared,
                detected_type=None
                if content.found_type == "application/octet-stream"
                else content.found_type,
                size=len(content.data),
                scan="not-scanned",
            )
        )
    return tuple(found)


def signature_facts(lines: Iterable[SignatureVerdict]) -> tuple[told.SignatureFacts, ...]:
    """Signatures of a PDF as they were judged; time-stamps on their own and initials are left out."""
    found = []
    for one in lines:
        if one.role == "timestamp" or one.initials:
            continue
        subject = subject_of(x509.load_der_x509_certificate(one.certificate)) if one.certificate else None
        found.append(
            told.SignatureFacts(
                role=one.role,
                signer=one.signer,
                verdict=_VERDICTS.get(one.verdict, "TOTAL-FAILED"),
                organisation_code=(subject.code or None) if subject else None,
                time_us=_moment(one.time),
                covers_whole_file=one.covers_whole_file,
                sub_indication=one.sub_indication or None,
                timestamped=one.stamped,
                algorithm_ok=one.sub_indication != "CRYPTO_CONSTRAINTS_FAILURE",
                revocation=one.revocation,
                allowed_changes_only=not one.changed_after,
            )
        )
    return tuple(found)


def sha256(data: bytes) -> str:
    """Hex, as approvals name a text."""
    return hashlib.sha256(data).hexdigest()


_VERDICTS: dict[Outcome, Literal["TOTAL-PASSED", "INDETERMINATE"]] = {
    "TOTAL-PASSED": "TOTAL-PASSED",
    "INDETERMINATE": "INDETERMINATE",
}


def _moment(time: str) -> int | None:
    try:
        return from_datetime(datetime.fromisoformat(time)) if time else None
    except ValueError:
        return None


def _signer(account: Account) -> told.Signer:
    """A leader of the agency: the role in the directory is the record of the power to sign."""
    return told.Signer(
        address=account.address,
        title=account.title,
        agency_code=account.agency_code,
        role=account.role,
        name=account.name,
        competence=told.Competence(valid=account.role == "leader"),
    )


def _receiver(agency: Agency) -> told.Receiver:
    closed = agency.closed_us is not None and to_local(agency.closed_us).date() <= today_local()
    return told.Receiver(
        agency.code, known=True, closed=closed, successor=agency.successor, codes_valid=None if closed else 1
    )
