# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a rule may look at, and nothing else: frozen values, filled by the rooms that know them.

`None` (and an empty tuple where a caller fills nothing) means *not known*. A rule says nothing about what
is not known, except the rules whose fact may not be missing at their moment: these block (each says so in
its docstring). Free text is bounded by the caller (`TEXT_LIMIT` characters) and may be in any Unicode form;
rules normalise it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

TEXT_LIMIT = 65_536
"""At most so many characters of a text or first page are given to the rules."""

Moment: TypeAlias = Literal["compose", "issue", "sign", "send", "receive", "periodic"]
"""When a rule is asked: C, I, S, R and T of law/rules.md (process and close are moves of the exchange); ``sign`` is
before each signature that issuing makes, when only who signs is looked at."""

Door: TypeAlias = Literal["submission", "mx", "append", "page", "api"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a mail."""

    address: str
    domain: str
    ours: bool = False
    agency_code: str | None = None
    on_document_system: bool | None = None
    "The mailbox belongs to a body that receives documents through the exchange."


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file. Types are media types in lower case; `detected_type` is read from the content."""

    filename: str
    declared_type: str
    detected_type: str | None = None
    size: int = 0
    is_official_document: bool | None = None
    "The file is an official document (signed by an organisation, or laid out and numbered like one)."
    official_by_signature: bool = False
    "It is so because an organisation signed it: a structured fact, not read out of free text."
    first_page_text: str | None = None
    troubles: tuple[tuple[str, str], ...] = ()
    "What is wrong with the file or inside it, as (trouble, where): `mailserver.hygiene.attachments.Trouble`."
    scan: Literal["clean", "malware", "not-scanned"] | None = None


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What SPF, DKIM and DMARC say of who sent a mail that came from outside."""

    author_domain: str | None
    "Domain of the only From address; None when there is not exactly one."
    proved: bool
    dmarc: Literal["none", "pass", "fail", "temperror", "permerror"] = "none"
    policy: Literal["none", "quarantine", "reject"] = "none"
    spf: str = "none"
    odd_label: str | None = None
    "A label of the domain that mixes scripts or is made to look like another."
    claims_ours: bool = False
    "The author's domain is one of this installation."


@dataclass(frozen=True, slots=True)
class MailFacts:
    """A mail at one of the doors."""

    moment: Moment
    door: Door
    at_us: int
    sender: str
    sender_domain: str
    sender_is_ours: bool
    recipients: tuple[Recipient, ...] = ()
    sender_role: str | None = None
    subject: str = ""
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    reason: str | None = None
    "The reason a person gave for going on after a warning (`Lý do: …`, or the field of the page)."
    size: int = 0
    sent_today: int | None = None
    "Recipients this account has written to since midnight, without this mail."
    secrecy_header: str | None = None
    "A structured secrecy level the sender's program declared (header Sensitivity or X-…), if any."
    sender_check: SenderFacts | None = None
    "None: not checked (our own senders, a network of ours, the DNS is not asked)."
    malware: str | None = None
    "What the scanner found anywhere in the mail, also outside of its files."


@dataclass(frozen=True, slots=True)
class Competence:
    """The power to sign on the date of signing."""

    valid: bool
    form: Literal["", "TM.", "KT.", "TL.", "TUQ.", "Q."] = ""
    basis: str | None = None
    "Written basis: working rules, letter of authorisation."
    start: date | None = None
    end: date | None = None
    scope: str | None = None
    passed_on: bool = False
    "A TUQ. holder passed the power on to somebody else."


@dataclass(frozen=True, slots=True)
class Signer:
    """The competent person of a document."""

    address: str | None = None
    title: str | None = None
    agency_code: str | None = None
    role: str | None = None
    name: str | None = None
    competence: Competence | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval of the text: by whom, over which content (digest of the draft)."""

    by: str
    digest: bytes
    at_us: int


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """One signature as exchange/trust judged it. `verdict` is TOTAL-PASSED, INDETERMINATE or TOTAL-FAILED."""

    role: Literal["person", "organisation"]
    signer: str
    verdict: Literal["TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED"]
    organisation_code: str | None = None
    time_us: int | None = None
    covers_whole_file: bool = True
    sub_indication: str | None = None
    timestamped: bool = False
    algorithm_ok: bool = True
    algorithm: str | None = None
    revocation: Literal["good", "revoked", "not-checked"] = "not-checked"
    allowed_changes_only: bool = True
    "Since this signature only number, date, validation data and the organisation's signature were added."


@dataclass(frozen=True, slots=True)
class Numbering:
    """The row of the register and its sequence."""

    last_date: date | None = None
    last_number: int | None = None
    given_by_system: bool | None = None
    pair_exists: bool | None = None
    "Number and notation of this body already stand in this year's register, in another row."
    row_state: Literal["numbered", "issued", "void", "reserved"] | None = None
    person_signed_before_number: bool | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """One receiving body of a document."""

    code: str
    known: bool | None = None
    closed: bool | None = None
    successor: str | None = None
    codes_valid: int | None = None
    "How many valid codes the body has on that day (must be one)."


@dataclass(frozen=True, slots=True)
class PacketFacts:
    """The edXML packet around a document or status."""

    kind: Literal["document", "status"] = "document"
    well_formed: bool | None = None
    has_doctype: bool = False
    size: int = 0
    from_codes: tuple[str, ...] = ()
    to_codes: tuple[str, ...] = ()
    document_id: str | None = None
    number: str | None = None
    "CodeNumber and CodeNotation as they stand in the packet."
    notation: str | None = None
    dated: date | None = None
    dated_text: str | None = None
    "PromulgationDate as written, when it could not be read as a date `dated` is None."
    subject: str | None = None
    type_name: str | None = None
    organ_name: str | None = None
    position: str | None = None
    full_name: str | None = None
    page_amount: str | None = None
    copies: str | None = None
    priority: str | None = None
    business_type: str | None = None
    update_flags: tuple[str, ...] = ()
    replaced_ids: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    "Content ids the manifest names, in order."
    attachments: tuple[str, ...] = ()
    "Content ids the attachments carry, in order."
    status_code: str | None = None
    status_organ: str | None = None
    status_document_id: str | None = None
    status_code_text: str | None = None
    "Number and notation a status answers."
    status_date: date | None = None


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """An official document that is composed, issued, sent or received."""

    moment: Moment
    date_local: date
    "Today in Vietnam: the day by whose law the document is judged."
    agency_code: str | None = None
    agency_name: str | None = None
    agency_short: str | None = None
    agency_place: str | None = None
    agency_closed: bool = False
    "This body (the issuer, or the receiver at `receive`) had ended on that day."
    kind: str | None = None
    kind_abbreviation: str | None = None
    normative: bool = False
    "A normative legal document (văn bản quy phạm pháp luật): other kinds, other notation."
    number: str | None = None
    notation: str | None = None
    dated: date | None = None
    "The date the document bears."
    place: str | None = None
    subject: str | None = None
    secrecy: str | None = None
    "Structured secrecy level; None or empty when there is none."
    priority: int | None = None
    urgency_stamp: int | None = None
    "Urgency printed on the document (0 none … 4), when known."
    signer: Signer | None = None
    actor_role: str | None = None
    "Role and body of the user whose act this is (the clerk at issuing and receiving)."
    actor_agency_code: str | None = None
    approvals: tuple[Approval, ...] = ()
    draft_digest: bytes | None = None
    "Digest of the draft as it is to be signed now."
    content_check: str | None = None
    "Who recorded the check of content, of form; None when nobody did."
    form_check: str | None = None
    signatures: tuple[SignatureFacts, ...] | None = None
    "None: not looked at yet; empty: none there."
    numbering: Numbering | None = None
    receivers: tuple[Receiver, ...] = ()
    recipients_text: tuple[str, ...] = ()
    "Lines of “Nơi nhận” read out of the document."
    packet: PacketFacts | None = None
    attachments: tuple[Attachment, ...] = ()
    text: str = ""
    "First page of the document, bounded."
    mail_subject: str = ""
    own_codes: tuple[str, ...] = ()
    "Codes of the receiving body (new and old form)."
    already_registered: bool | None = None
    same_number_registered: bool | None = None
    refusal_reason: str | None = None
    refusing: bool = False
    integrity_checked: bool | None = None
    "Completeness, integrity and authenticity were checked and the result recorded."
    is_copy: bool = False
    "A copy this body made from paper (SY, TrS, SL)."
    joint_codes: tuple[str, ...] = ()
    "Bodies that issue it together with this one (liên tịch): a person of each signed before its seal."
    seal_code: str | None = None
    "Code of the body whose seal (key) is to be used."


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A signing certificate: about to be used (``sign``), or looked at from time to time (``periodic``).

    ``unknown``: there is no word on revocation. ``days_left``: whole days until it ends, negative when it has.
    """

    moment: Moment
    date_local: date
    holder: str
    state: Literal["valid", "expired", "revoked", "not-yet", "untrusted", "missing", "unknown"]
    days_left: int | None = None


Content: TypeAlias = MailFacts | DocumentFacts
Facts: TypeAlias = Content | CertificateFacts
