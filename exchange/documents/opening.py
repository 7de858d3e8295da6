# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person opens a document: the right is checked, the signer unwraps, “opened by” is recorded (DESIGN 4.14).

Without the signer nobody opens anything; what is recorded is written before the content is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from config.refusal import Refused
from exchange.documents import files, records
from exchange.documents.model import Document, DocumentRef, StoredFile
from exchange.documents.openpgp import OpenPgpUnwrapping
from exchange.documents.work import Unwrapping, judging, load
from exchange.exchange import Exchange
from exchange.sealing.openpgp_form import is_openpgp_mail
from exchange.sealing.packet import OpenedPacket, open_packet
from exchange.trust.verdict import Verdict
from exchange.verifying.packet import judge_opened
from exchange.verifying.second import heard_on_packet
from mailserver.accounts import Account, Agency
from policy.ledger.entries import record
from policy.ledger.leaf import JSON
from policy.rights import may, relation, require

_AS_FAR_AS = ("issued", "sealing", "signed", "signing", "draft")


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """One file of a document with its bytes."""

    stored: StoredFile
    data: bytes = field(repr=False)


def may_open(account: Account, document: Document, agency: Agency) -> bool:
    """Whether ``account`` may open the document: its agency's clerk and leaders, and who is named in it."""
    fields = document.fields
    codes = (agency.code, *fields.joint_codes)
    home = account.agency_code if account.agency_code in codes else agency.code
    related = relation(account.agency_code, home, own=account.address in fields.people)
    return may(account.role, "document.read", related)


def readable(document: Document, kept: Sequence[StoredFile]) -> list[StoredFile]:
    """The files a reader gets of all that are ``kept``: what came in, or the document as far as it is, then its
    attachments (sealed ones when there are)."""
    if document.direction == "incoming":
        return [one for one in kept if one.role == "attachment"]
    newest = {one.role: one for one in kept}
    main = next((newest[role] for role in _AS_FAR_AS if role in newest), None)
    if document.state in ("drafted", "returned"):
        main = newest.get("draft")  # signatures on a text that was given back count no more
    annexes = "annex-sealed" if "annex-sealed" in newest else "annex"
    return [*([main] if main is not None else []), *(one for one in kept if one.role == annexes)]


def open_for(exchange: Exchange, ref: DocumentRef, person: Account) -> list[OpenedFile]:
    """The `readable` files for ``person``; recorded as opened. Raises `Refused`, `Unavailable`."""
    document = load(exchange, ref)
    agency = exchange.agency_numbered(ref.agency)
    if not may_open(person, document, agency):
        require(person.role, "document.read", relation(person.agency_code, agency.code))
    if not document.wrapped_key:
        raise Refused(
            "not-readable",
            "Gói tin này không mở được nên không có nội dung để xem.",
            "This packet could not be opened, so there is no content to show.",
        )
    with exchange.database.reading() as conn:
        kept = files.listing(conn, exchange.seal, ref)
    chosen = readable(document, kept)
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "open", person.address)
    found = [OpenedFile(one, exchange.files.read(opened.key, one)) for one in chosen]
    detail: dict[str, JSON] = {
        "by": person.address,
        "agency": agency.code,
        "files": [one.sha256 for one in chosen][:50],
        "signer_record": opened.use.record,
    }

    def job(conn: sa.Connection) -> None:
        records.add_event(
            conn,
            exchange.seal,
            ref,
            "document.opened",
            document.ledger_subject,
            detail,
            partner=agency.code,
            told={"by": person.address},
        )

    exchange.database.write(job)
    return found


def open_packet_file(
    exchange: Exchange, agency: Agency, mail: bytes, who: str
) -> tuple[OpenedPacket, Verdict]:
    """Open a packet mail (a file) with the agency's key, for ``who``. Raises `Refused`, `Unavailable`."""
    opened, used = open_any(exchange, agency, mail, "open", who)
    verdict = judge_opened(opened, judging(exchange), exchange.ledger_keys.all)
    detail: dict[str, JSON] = {
        "by": who,
        "agency": agency.code,
        "packet": opened.digest,
        "signer_record": used,
    }
    exchange.database.write(
        lambda conn: record(conn, exchange.seal, "document.opened", f"packet/{opened.digest}", detail)
    )
    return opened, verdict


def open_any(
    exchange: Exchange, agency: Agency, mail: bytes, purpose: str, who: str = ""
) -> tuple[OpenedPacket, str]:
    """A packet mail in either form opened with the agency's keys, and the signer's record of that.

    ``purpose``: ``receive`` or ``open`` (for ``who``). Raises `Refused`, `Unavailable`.
    """
    if is_openpgp_mail(mail):
        by_key = OpenPgpUnwrapping(exchange, agency, purpose, who)
        opened = by_key.open(mail)
        return opened, by_key.uses[-1].record
    unwrapping = Unwrapping(exchange, agency, purpose, who)
    try:
        opened = heard_on_packet(open_packet(mail, unwrapping.openers, judging(exchange)), judging(exchange))
    except Refused:
        unwrapping.check()
        raise
    return opened, unwrapping.uses[-1].record if unwrapping.uses else ""
