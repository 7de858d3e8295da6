# SPDX-License-Identifier: AGPL-3.0-or-later
"""First move: a PDF becomes a draft of this agency. Nothing is stored of one that may not be here (R-CON-01)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import annexes as annexing
from exchange.documents import facts, files, first_page, openpgp, records, turns
from exchange.documents.kinds import Kind, kind_named, nfc, notation, plain_name
from exchange.documents.model import DocumentRef, Fields
from exchange.documents.work import Work
from exchange.exchange import Exchange
from exchange.signing.pdf.draft import open_draft
from exchange.signing.pdf.layout import MOST_SIGNERS, too_many_signers
from mailserver.accounts import Account, Agency

SUBJECT_LENGTH = 500
"""Trích yếu, at most (ND30/2020 App. VI; R-MET-01)."""
_GROWTH = 2.7
"""A PDF of n bytes makes a packet mail of about n times this: three layers of base64 around a ZIP."""
_ROOM = 300_000


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """What a drafter declares about the PDF. ``to`` are agency codes, ``unit`` is for letters."""

    agency: str
    to: tuple[str, ...]
    kind: str
    subject: str
    signer: str
    drafter: str
    unit: str = ""
    file_name: str = "van-ban.pdf"
    priority: int = 0
    secrecy: str = ""
    initials: tuple[str, ...] = ()
    "Addresses of those who initial it (ký nháy), in their order."
    co_signers: tuple[str, ...] = ()
    "Addresses of those who sign after ``signer``; one of another agency makes it a joint document."
    annexes: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    "Attachments in files of their own (phụ lục): name and PDF."


@dataclass(frozen=True, slots=True)
class Checked:
    """A request with everything in it looked up."""

    agency: Agency
    to: tuple[Agency, ...]
    kind: Kind
    notation: str
    signer: Account
    drafter: Account
    pages: int
    initials: tuple[Account, ...] = ()
    co_signers: tuple[Account, ...] = ()


def create(exchange: Exchange, request: DraftRequest, pdf: bytes) -> Work:
    """Check and store a draft. Raises `Refused` (nothing is stored then) and `Unavailable`."""
    checked = check(exchange, request, pdf)
    fields = _fields(request, checked)
    key, wrapped = exchange.new_document_key(checked.agency.code)
    written = exchange.files.write(checked.agency.number, key, fields.file_name, files.PDF, pdf)
    annexes = annexing.write(exchange, checked.agency, key, request.annexes, fields.file_name)
    new = records.NewDocument(
        checked.agency.number,
        "outgoing",
        "drafted",
        checked.kind.number,
        checked.agency.code,
        wrapped,
        priority=request.priority,
    )

    def job(conn: sa.Connection) -> DocumentRef:
        ref = records.create(conn, exchange.seal, new, fields)
        records.add_recipients(conn, ref, fields.to_codes)
        turns.plan(conn, exchange.seal, ref, fields)
        files.add(conn, exchange.seal, ref, "draft", written)
        for annex in annexes:
            files.add(conn, exchange.seal, ref, "annex", annex)
        detail = {"by": checked.drafter.address, "sha256": written.sha256, "agency": checked.agency.code}
        records.add_event(
            conn, exchange.seal, ref, "document.drafted", ref.subject, detail, partner=checked.agency.code
        )
        return ref

    return Work(exchange.database.write(job), key)


def check(exchange: Exchange, request: DraftRequest, pdf: bytes) -> Checked:
    """Everything that can be known before a number is at stake. Raises `Refused` with the remedy."""
    agency = exchange.agency(request.agency)
    if agency.closed_us is not None:
        raise _closed(agency)
    kind = kind_named(request.kind)
    unit = request.unit or (exchange.settings.exchange.letter_unit if kind.is_letter else "")
    shown = notation(kind, agency.short, unit)
    _subject(request.subject)
    to = _recipients(exchange, agency, request.to)
    signer = exchange.person(request.signer, agency, "leader")
    drafter = exchange.person(request.drafter, agency, "clerk", "civil-servant", "leader")
    pages, text = _look(pdf)
    initials, co_signers = _others(exchange, agency, request)
    for name, annex in request.annexes:
        annexing.look(name, annex)
    room = exchange.settings.mail.max_message_bytes
    if (len(pdf) + sum(len(annex) for _, annex in request.annexes)) * _GROWTH + _ROOM > room:
        largest = int((room - _ROOM) / _GROWTH / 1_000_000)
        raise Refused(
            "document-too-large",
            f"Các tệp PDF lớn hơn {largest} MB nên gói tin vượt giới hạn thư. Giảm dung lượng ảnh rồi thử lại.",
            f"The PDFs are larger than {largest} MB, so the packet would exceed the mail limit. Reduce images.",
        )
    checked = Checked(agency, to, kind, shown, signer, drafter, pages, initials, co_signers)
    facts.ask(
        exchange,
        facts.of_draft(
            agency,
            kind=plain_name(kind),
            abbreviation=kind.abbreviation,
            notation=shown,
            subject=request.subject,
            signer=signer,
            receivers=to,
            draft_digest=hashlib.sha256(pdf).digest(),
            text=text,
            secrecy=request.secrecy,
            priority=request.priority,
        ),
    )
    return checked


def _fields(request: DraftRequest, checked: Checked) -> Fields:
    name = nfc(request.file_name).replace("\\", "/").rsplit("/", 1)[-1][-150:] or "van-ban.pdf"
    return Fields(
        subject=nfc(" ".join(request.subject.split())),
        kind=plain_name(checked.kind),
        notation=checked.notation,
        unit=request.unit,
        place=checked.agency.place,
        organ_code=checked.agency.code,
        organ_name=checked.agency.name,
        to_codes=tuple(one.code for one in checked.to),
        signer=checked.signer.address,
        signer_name=checked.signer.name,
        signer_title=checked.signer.title,
        drafter=checked.drafter.address,
        initials=tuple(one.address for one in checked.initials),
        co_signers=tuple(one.address for one in checked.co_signers),
        co_codes=tuple(one.agency_code or "" for one in checked.co_signers),
        file_name=name,
        pages=checked.pages,
        public_code=secrets.token_urlsafe(15),
        key_code=checked.agency.code,
    )


def _others(
    exchange: Exchange, agency: Agency, request: DraftRequest
) -> tuple[tuple[Account, ...], tuple[Account, ...]]:
    """Who initials and who signs besides the signer. Raises `Refused` for one named twice or without a key."""
    named = [one.strip().lower() for one in (*request.initials, request.signer, *request.co_signers)]
    if len(set(named)) != len(named):
        raise Refused(
            "signer-twice",
            "Mỗi người chỉ ký một lần: có người được nêu hai lần (ký nháy, ký, đồng ký).",
            "Everybody signs once: somebody is named twice (initials, signer, co-signers).",
        )
    if max(len(request.initials), 1 + len(request.co_signers)) > MOST_SIGNERS:
        raise too_many_signers()
    initials = tuple(
        exchange.person(one.strip(), agency, "civil-servant", "clerk", "leader") for one in request.initials
    )
    co_signers = []
    for address in request.co_signers:
        found = exchange.accounts.by_address(address.strip())
        home = exchange.agency(found.agency_code) if found is not None and found.agency_code else agency
        if home.closed_us is not None:
            raise _closed(home)
        co_signers.append(exchange.person(address.strip(), home, "leader"))
    for one in (*initials, *co_signers):
        if exchange.trust.certificate_of_person(one.address) is None:
            raise Refused(
                "no-certificate",
                f"{one.name} chưa có chứng thư ký số.",
                f"{one.name} has no signing certificate.",
                rule="R-SIG-22",
            )
    return initials, tuple(co_signers)


def _subject(subject: str) -> None:
    length = len(nfc(" ".join(subject.split())))
    if not 0 < length <= SUBJECT_LENGTH:
        raise Refused(
            "bad-subject",
            f"Trích yếu phải có từ 1 đến {SUBJECT_LENGTH} ký tự (hiện có {length}).",
            f"The abstract must have 1 to {SUBJECT_LENGTH} characters (it has {length}).",
            rule="R-MET-01",
        )


def _recipients(exchange: Exchange, agency: Agency, codes: tuple[str, ...]) -> tuple[Agency, ...]:
    found: dict[str, Agency] = {}
    for code in codes:
        if not code.strip():
            continue
        one = exchange.agency(code)
        if one.closed_us is not None:
            raise _closed(one)
        if one.code == agency.code:
            raise Refused(
                "to-itself",
                "Cơ quan không gửi văn bản cho chính mình.",
                "An agency does not send a document to itself.",
                rule="R-MET-06",
            )
        certificate = exchange.trust.encryption_certificate_of_agency(one.code)
        if certificate is None and not openpgp.partner_key(exchange, one.code):
            raise Refused(
                "no-encryption-certificate",
                f"{one.name} chưa có chứng thư mã hóa nên chưa nhận được văn bản điện tử.",
                f"{one.name} has no encryption certificate, so it can't receive electronic documents yet.",
                rule="R-ISS-13",
            )
        found[one.code] = one
    if not found:
        raise Refused(
            "no-recipient",
            "Văn bản chưa có nơi nhận.",
            "The document has no recipient.",
            rule="R-MET-06",
        )
    return tuple(found.values())


def _closed(agency: Agency) -> Refused:
    after = f" Gửi cho {agency.successor}." if agency.successor else ""
    return Refused(
        "agency-closed",
        f"{agency.name} đã kết thúc hoạt động.{after}",
        f"{agency.name} has ended." + (f" Write to {agency.successor}." if agency.successor else ""),
        rule="R-ORG-03",
    )


def _look(pdf: bytes) -> tuple[int, str]:
    """Pages and the text of the first one. Raises `Refused` when the PDF may not be signed."""
    return first_page.look(open_draft(pdf))
