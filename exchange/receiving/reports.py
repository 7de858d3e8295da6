# SPDX-License-Identifier: AGPL-3.0-or-later
"""The validation reports of a received document: made on receipt, kept, shown from then on; judged anew when asked.

Judged once: pages, commands and accepting read the kept report and judge nothing, so an authority that ends or a
validator that changes does not rewrite what was known. Judging anew adds a report with its own ledger entry
(``document.judged``) beside the first; the newest counts for accepting, so what could not be decided on arrival
(a revocation list that was late) can be decided later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import sqlalchemy as sa
from cryptography import x509

from config.refusal import Refused
from config.writer import after_commit
from exchange.documents import files, records, schema
from exchange.documents.judged import verdict_of
from exchange.documents.model import Document, DocumentRef
from exchange.documents.opening import may_open
from exchange.documents.packing import signing_chain
from exchange.documents.work import judging, load
from exchange.exchange import Exchange
from exchange.signing.signer_client import Opened
from exchange.trust.verdict import Verdict
from exchange.verifying.edxml import verify_edxml
from exchange.verifying.report import Report, read_report, write_report
from mailserver.accounts import Account, Agency
from policy.ledger.leaf import JSON
from policy.rights import relation, require

FILE_NAME = "document.report.json"
_SEALS = ("CMS", "OpenPGP")
Effect: TypeAlias = Callable[[sa.Connection], None]


def signed_report(
    exchange: Exchange, agency: Agency, packet: str, layers: Sequence[tuple[str, Verdict]]
) -> bytes:
    """The report file on the packet with this digest, as of now. Raises `Refused`, `Unavailable`."""
    return write_report(
        agency.code,
        packet,
        datetime.now(UTC).replace(microsecond=0),
        layers,
        signing_chain(exchange, agency.code),
        lambda label, body: exchange.signer.sign_statement(agency.code, label, body).signature,
    )


def kept(exchange: Exchange, document: Document, key: bytes) -> list[tuple[Report, bytes]]:
    """The reports of a document with their files, the one made on receipt first; ``key`` is the document's."""
    with exchange.database.reading() as conn:
        stored = [one for one in files.listing(conn, exchange.seal, document.ref) if one.role == "report"]
    judge = judging(exchange)
    read = [exchange.files.read(key, one) for one in stored]
    return [(found, data) for data in read if (found := read_report(data, judge)) is not None]


def opened_for(exchange: Exchange, document: Document, person: Account) -> list[tuple[Report, bytes]]:
    """The kept reports for ``person``, who may read the document. Raises `Refused`, `Unavailable`."""
    if not document.wrapped_key or document.direction != "incoming":
        return []
    return kept(exchange, document, _key(exchange, document, person).key)


def judge_anew(exchange: Exchange, ref: DocumentRef, person: Account) -> tuple[Report, bytes]:
    """Judge what is kept of a received document as of now; the new report is kept beside the others.

    Words on revocation that are not here are fetched first, from the authorities its certificates name.

    The packet's CMS was judged on receipt and lies in the registry mailbox: its first verdict is carried over.
    Raises `Refused`, `Unavailable`.
    """
    document = load(exchange, ref)
    agency = exchange.agency_numbered(ref.agency)
    if not may_open(person, document, agency):
        require(person.role, "document.read", relation(person.agency_code, agency.code))
    if document.direction != "incoming" or not document.wrapped_key:
        raise Refused(
            "nothing-to-judge",
            "Chỉ kiểm tra lại được văn bản đến đã mở được.",
            "Only a received document that could be opened is judged anew.",
        )
    return judge_with_key(exchange, document, _key(exchange, document, person), person.address)


def judge_with_key(
    exchange: Exchange, document: Document, opened: Opened, by: str, effect: Effect | None = None
) -> tuple[Report, bytes]:
    """The same with the document's key in hand, for ``by``; ``effect`` is written together with the report.

    Raises `Refused`, `Unavailable`.
    """
    ref, key = document.ref, opened.key
    agency = exchange.agency_numbered(ref.agency)
    earlier = [layer for report, _ in kept(exchange, document, key)[:1] for layer in report.layers]
    layers: list[tuple[str, Verdict]] = [layer for layer in earlier if layer[0] in _SEALS]
    with exchange.database.reading() as conn:
        stored = files.listing(conn, exchange.seal, ref)
    named = [line.certificate for _, verdict in earlier for line in verdict.signatures if line.certificate]
    exchange.fetcher.fetch(x509.load_der_x509_certificate(one) for one in dict.fromkeys(named))
    for one in stored:
        if one.role == "edxml" and any(name == "edXML" for name, _ in earlier):
            layers.append(("edXML", verify_edxml(exchange.files.read(key, one), judging(exchange))[0]))
        elif one.role == "attachment" and one.media_type == files.PDF:
            layers.append((one.name, verdict_of(exchange, exchange.files.read(key, one))))
    data = signed_report(exchange, agency, document.fields.packet_digest, layers)
    report = read_report(data, judging(exchange))
    if report is None:
        raise Refused(
            "report-not-sound",
            "Báo cáo vừa ký không kiểm tra được bằng chứng thư đang dùng; báo quản trị hệ thống.",
            "The new report can't be verified with the certificates in use; tell the system officer.",
        )
    written = exchange.files.write(ref.agency, key, FILE_NAME, files.JSON, data)
    detail: dict[str, JSON] = {
        "by": by,
        "agency": agency.code,
        "report": written.sha256,
        "verdict": report.verdict.verdict,
        "signer_record": opened.use.record,
    }

    def job(conn: sa.Connection) -> None:
        if effect is not None:
            effect(conn)
        files.add(conn, exchange.seal, ref, "report", written)
        subject = document.ledger_subject
        told = {"by": by, "verdict": report.verdict.verdict}
        records.add_event(
            conn, exchange.seal, ref, "document.judged", subject, detail, partner=agency.code, told=told
        )
        after_commit(conn, lambda: exchange.wake.publish("document", ref.id))

    exchange.database.write(job)
    return report, data


def of_packet(exchange: Exchange, agency: Agency, digest: bytes) -> DocumentRef | None:
    """The document that the packet with this digest brought to ``agency``."""
    table = schema.packet_seen
    with exchange.database.reading() as conn:
        found = conn.execute(
            sa.select(table.c.document).where(table.c.agency == agency.number, table.c.digest == digest)
        ).scalar()
    return DocumentRef(agency.number, int(found)) if found else None


def _key(exchange: Exchange, document: Document, person: Account) -> Opened:
    return exchange.document_key(document.fields.key_code, document.wrapped_key, "open", person.address)
