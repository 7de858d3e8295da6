# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document is issued: the walk of DESIGN §2 from a PDF to the queue, and its resumption after a crash.

Each step is a move in a file of its own. What was interrupted before its number goes on from the page or
command; what has a number is taken up again by the worker while the clerk's approval lives (5 minutes),
and by `go_on` with a new act of the clerk after that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from config.clock import now_us
from config.refusal import Refused, Unavailable
from exchange.documents import annexes as attached
from exchange.documents import draft, joint_seal, records, sealing_by_passkey
from exchange.documents.approve import approve
from exchange.documents.issue import issue
from exchange.documents.model import Document, DocumentRef
from exchange.documents.number import number
from exchange.documents.schema import document as document_table
from exchange.documents.send import send
from exchange.documents.sign import sign
from exchange.documents.work import Work, content, load, take_up
from exchange.exchange import Exchange
from exchange.signing.phone.approval import Approval
from exchange.signing.protocol import APPROVAL_SECONDS
from mailserver.accounts import Account
from policy.rights import relation, require

log = logging.getLogger("congvan.documents")
_busy: set[DocumentRef] = set()
_guard = threading.Lock()


def issue_from_pdf(
    exchange: Exchange,
    pdf: bytes,
    *,
    agency: str,
    to: list[str],
    kind: str,
    subject: str,
    signer: str,
    clerk: str,
    unit: str = "",
    file_name: str = "van-ban.pdf",
    priority: int = 0,
    secrecy: str = "",
    initials: Sequence[str] = (),
    co_signers: Sequence[str] = (),
    annexes: Sequence[tuple[str, bytes]] = (),
) -> dict[str, Any]:
    """The clerk issues a PDF that the named signers approved (file approval), all the way to “sent”.

    One issued jointly (a co-signer of another agency) goes to “sealing” and is sent with the last agency's
    seal (`seal`). ``annexes``: attachments, name and PDF. Gives the object of ``document issue --json`` (DESIGN §5). Raises `Refused` (nothing numbered, or the
    number void with the reason) and `Unavailable` (what is numbered is taken up again by the worker).
    """
    home = exchange.agency(agency)
    who = exchange.person(clerk, home, "clerk")
    require(who.role, "document.issue", relation(who.agency_code, home.code))
    leader = exchange.person(signer, home, "leader")
    request = draft.DraftRequest(
        home.code,
        tuple(to),
        kind,
        subject,
        leader.address,
        who.address,
        unit=unit,
        file_name=file_name,
        priority=priority,
        secrecy=secrecy,
        initials=tuple(initials),
        co_signers=tuple(co_signers),
        annexes=tuple((str(name), bytes(data)) for name, data in annexes),
    )
    work = draft.create(exchange, request, pdf)
    with _alone(work.ref):
        fields = load(exchange, work.ref).fields
        for address in (*fields.initials, fields.signer, *fields.co_signers):
            found = exchange.accounts.by_address(address)
            approve(exchange, work.ref, found or leader, who)
        _walk(exchange, work, who)
    return answer(exchange, work.ref)


def go_on(
    exchange: Exchange, ref: DocumentRef, clerk: Account, proofs: Sequence[Approval] = ()
) -> dict[str, Any]:
    """The clerk has an interrupted document finished: a new approval of the seal when it has its number.

    ``proofs``: that approval by passkey, for the document and each attachment. Raises `Refused` (``seal-approval-needed``) where it is missing.
    """
    document = load(exchange, ref)
    require(clerk.role, "document.issue", relation(clerk.agency_code, document.partner))
    with _alone(ref):
        work = take_up(exchange, ref, clerk.address)
        if document.state == "numbered" and not _by_passkey(exchange, document):
            _approve_again(exchange, work, clerk)
        _walk(exchange, work, clerk, proofs)
    return answer(exchange, ref)


def seal(
    exchange: Exchange, ref: DocumentRef, clerk: Account, proofs: Sequence[Approval] = ()
) -> dict[str, Any]:
    """The clerk of a jointly issuing agency seals; with the last seal the document is sent.

    Sending completes what the issuing agency's clerk began. Raises `Refused`, `Unavailable`.
    """
    document = load(exchange, ref)
    turn = joint_seal.waiting_turn(exchange, document, clerk)
    if not proofs and exchange.approval_of_seal(turn.code) == "passkey":
        raise sealing_by_passkey.approval_needed()
    with _alone(ref):
        work = take_up(exchange, ref, clerk.address)
        if joint_seal.seal_jointly(exchange, work, clerk, proofs):
            home = exchange.agency_numbered(ref.agency)
            send(exchange, work, exchange.person(document.fields.clerk, home, "clerk"))
    return answer(exchange, ref)


def resume(exchange: Exchange) -> int:
    """Finish what a crash left numbered or sealed, as far as the approvals live; returns how many were sent.

    Raises `Unavailable` when the signer or the database is down.
    """
    with exchange.database.reading() as conn:
        table = document_table
        waiting = [
            records.read(exchange.seal, row)
            for row in conn.execute(
                sa.select(table).where(
                    table.c.direction == "outgoing", table.c.state.in_(("numbered", "sealed"))
                )
            )
        ]
    done = 0
    for document in waiting:
        old = now_us() - document.updated_us > (APPROVAL_SECONDS - 5) * 1_000_000
        if document.state == "numbered" and old:
            continue  # the clerk is asked again (list “Chờ ký số cơ quan”)
        try:
            with _alone(document.ref):
                agency = exchange.agency_numbered(document.ref.agency)
                clerk = exchange.person(document.fields.clerk, agency, "clerk")
                _walk(exchange, take_up(exchange, document.ref, f"resume {clerk.address}"), clerk)
                done += 1
        except Unavailable:
            raise
        except Refused as problem:
            if problem.code != "document-busy":
                log.warning("document %s could not be finished: %s", document.id, problem.code)
    return done


def answer(exchange: Exchange, ref: DocumentRef) -> dict[str, Any]:
    """``document issue --json``."""
    document = load(exchange, ref)
    with exchange.database.reading() as conn:
        recipients = records.recipients(conn, ref)
    return {
        "id": ref.id,
        "document_id": document.fields.document_id,
        "number": document.fields.number,
        "state": document.state,
        "packet_digest": document.fields.packet_digest,
        "recipients": [{"agency": one.code, "state": one.state} for one in recipients],
    }


def _walk(exchange: Exchange, work: Work, clerk: Account, proofs: Sequence[Approval] = ()) -> None:
    """From wherever the document stands to “sent”, or to where the joint seals are waited for."""
    document = load(exchange, work.ref)
    state = document.state
    if state == "sealing":
        raise joint_seal.waits_for_seal(exchange, work.ref)
    if state in ("approved", "signing"):
        sign(exchange, work)
        state = "signed"
    if state == "signed":
        number(exchange, work, clerk)
        state = "numbered"
    if state == "numbered":
        if not proofs and _by_passkey(exchange, load(exchange, work.ref)):
            raise sealing_by_passkey.approval_needed()
        issue(exchange, work, clerk, proofs)
        if document.fields.joint_codes:
            return
    send(exchange, work, clerk)


def _by_passkey(exchange: Exchange, document: Document) -> bool:
    """Whether the seal wants the clerk's passkey."""
    return exchange.approval_of_seal(document.fields.organ_code) == "passkey"


def _approve_again(exchange: Exchange, work: Work, clerk: Account) -> None:
    signed, _ = content(exchange, work, "signed")
    digests = [signed.sha256, *(one.sha256 for one in attached.listing(exchange, work.ref))]

    def job(conn: sa.Connection) -> None:
        for digest in digests:
            records.add_approval(conn, exchange.seal, work.ref, "seal", clerk.address, digest, now_us())

    exchange.database.write(job)


@contextmanager
def _alone(ref: DocumentRef) -> Iterator[None]:
    """One walk at a time on a document in this process; between processes the moves decide."""
    with _guard:
        if ref in _busy:
            raise Refused(
                "document-busy",
                "Văn bản đang được xử lý, hãy đợi trong giây lát.",
                "The document is being worked on, please wait a moment.",
            )
        _busy.add(ref)
    try:
        yield
    finally:
        with _guard:
            _busy.discard(ref)
