# SPDX-License-Identifier: AGPL-3.0-or-later
"""A packet whose certificates have no word on revocation here: asked for on receipt, bounded, and said when nobody answers."""

from __future__ import annotations

import dataclasses
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa
from asn1crypto.crl import CertificateList
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.dss import DocumentSecurityStore

from config.clock import now_us
from exchange.documents import judged, records, schema
from exchange.documents.model import Document
from exchange.documents.work import load
from exchange.receiving import again, reconsidering, reports
from exchange.receiving.evidence import evidence_of
from exchange.trust import authority as ca
from exchange.trust.anchors import Anchors
from exchange.trust.fetching import Fetcher
from exchange.trust.pdf_judge import judge_pdf
from exchange.trust.status_places import key_id
from exchange.trust.verdict import INDETERMINATE, NO_WORD, Verdict
from tests.conftest import Province
from tests.exchange.documents.office import Office, office
from tests.exchange.receiving.carrying import CLERK, RECEIVER, arrivals, issue, issued_pdf, round_trip


@dataclass
class Elsewhere:
    """The sender's authority: serves lists by path; answers nothing while ``silent``."""

    port: int = 0
    lists: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: bool = False


@contextmanager
def authority() -> Iterator[Elsewhere]:
    told, stop = Elsewhere(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            if told.silent:
                stop.wait(30)
            data = told.lists.get(self.path, b"")
            self.send_response(200 if data else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    stop.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with authority() as made:
        yield made


@pytest.fixture
def abroad(small_province: Province, tmp_path: Path, elsewhere: Elsewhere) -> Iterator[Office]:
    """An office whose certificates name an authority that serves lists and no OCSP."""
    with office(small_province, tmp_path, status_url=f"http://127.0.0.1:{elsewhere.port}") as made:
        yield made


def away(made: Office, elsewhere: Elsewhere) -> None:
    """The lists lie at the authority only."""
    trust = made.exchange.trust
    (root,), issuing = trust.own_roots(), trust.issuing_certificate()
    assert issuing is not None
    for name, one in (("root", root), ("issuing", issuing)):
        file = trust.path / "crls" / f"{name}.crl"
        elsewhere.lists[f"/crl/{key_id(one)}.crl"] = file.read_bytes()
        file.unlink()


def test_words_are_fetched_before_judging_and_serve_the_next_packet_offline(
    abroad: Office, elsewhere: Elsewhere
) -> None:
    issue(abroad)
    away(abroad, elsewhere)
    round_trip(abroad)
    (came,) = arrivals(abroad)
    assert came.state == "arrived", came.fields.reason
    assert {one for one in elsewhere.asked if one.startswith("/crl/")} == set(elsewhere.lists)
    asked = len(elsewhere.asked)
    elsewhere.lists.clear()
    issue(abroad)
    round_trip(abroad)
    assert [one.state for one in arrivals(abroad)] == ["arrived", "arrived"]
    assert len(elsewhere.asked) == asked, "what is here is not asked for again"


def test_who_does_not_answer_stops_nothing_and_is_named(abroad: Office, elsewhere: Elsewhere) -> None:
    issue(abroad)
    away(abroad, elsewhere)
    elsewhere.silent = True
    abroad.exchange.fetcher.seconds = 0.5
    started = time.monotonic()
    round_trip(abroad)
    assert time.monotonic() - started < 8
    (held,) = arrivals(abroad)
    assert held.state == "held"
    assert "Máy chủ tra cứu thu hồi không trả lời: 127.0.0.1" in held.fields.reason
    assert "No answer on revocation from 127.0.0.1" in held.fields.reason_en
    elsewhere.silent = False
    abroad.exchange.fetcher._asleep.clear()
    opened = again.look_again(abroad.exchange, held.ref, abroad.province.people[RECEIVER])
    assert load(abroad.exchange, opened).state == "arrived"


def test_what_was_revoked_since_is_not_taken(abroad: Office, elsewhere: Elsewhere) -> None:
    trust = abroad.exchange.trust
    issue(abroad)
    seal = trust.signing_certificate_of_agency("H12.01")
    assert seal is not None
    abroad.exchange.signer.revoke(seal.serial_number, "keyCompromise", "t")
    away(abroad, elsewhere)
    round_trip(abroad)
    (came,) = arrivals(abroad)
    assert came.state in ("held", "refused")
    assert "REVOKED" in came.fields.reason


def test_lists_of_strangers_are_not_carried_in_our_files(small_office: Office) -> None:
    """A fetched list lies beside ours; PDFs and evidence carry those of the authorities that signed in them."""
    exchange = small_office.exchange
    stranger = ca.make_root("Stranger", "Nơi khác")
    exchange.trust.put_crl("fetched-0", ca.make_crl(stranger, 1))
    told = issue(small_office)
    round_trip(small_office)
    mark = b"Stranger"
    document, pdf = issued_pdf(small_office, told)
    assert mark not in b"".join(one.dump() for one in dss_of(pdf))
    assert len(dss_of(pdf)) == 2
    evidence = evidence_of(exchange, document.ref, CLERK)
    assert mark not in evidence
    assert b"crls/02.crl" in evidence
    assert b"crls/03.crl" not in evidence


def dss_of(pdf: bytes) -> list[CertificateList]:
    """The revocation lists in a PDF."""
    store = DocumentSecurityStore.read_dss(PdfFileReader(io.BytesIO(pdf)))
    return [CertificateList.load(one.get_object().data) for one in store.crls]


def held(made: Office, elsewhere: Elsewhere) -> tuple[Document, int]:
    """A document that is held as its authority was silent, and a moment at which it is due again."""
    issue(made)
    away(made, elsewhere)
    elsewhere.silent = True
    made.exchange.fetcher.seconds = 0.5
    round_trip(made)
    elsewhere.silent = False
    (one,) = arrivals(made)
    assert one.state == "held"
    return one, now_us() + 61_000_000


def kinds(made: Office, one: Document) -> list[str]:
    with made.exchange.database.reading() as conn:
        return [event.kind for event in records.events(conn, made.exchange.seal, one.ref)]


def test_a_held_packet_is_opened_by_the_worker_when_the_word_comes(
    abroad: Office, elsewhere: Elsewhere
) -> None:
    exchange = abroad.exchange
    first, due = held(abroad, elsewhere)
    before = len(elsewhere.asked)
    assert reconsidering.complete(exchange, exchange.new_fetcher()) == 0, "not before its time"
    assert len(elsewhere.asked) == before
    lists, elsewhere.lists = elsewhere.lists, {}
    assert reconsidering.complete(exchange, exchange.new_fetcher(), due) == 0, "nothing came"
    assert reconsidering.complete(exchange, exchange.new_fetcher(), due) == 0, "put off"
    elsewhere.lists = lists
    assert reconsidering.complete(exchange, exchange.new_fetcher(), due + 240_000_000) == 1
    closed, came = sorted(arrivals(abroad), key=lambda one: one.ref.document)
    assert (closed.ref, closed.state) == (first.ref, "refused")
    assert kinds(abroad, closed) == ["document.packet-held", "document.reopened"]
    assert came.state == "arrived"
    assert reconsidering.complete(exchange, exchange.new_fetcher(), due + 10**12) == 0, "nothing waits"


def test_a_list_put_by_hand_releases_a_document_that_was_opened(
    abroad: Office, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seal has a word (OCSP); the leader's certificate has none, here or in the PDF, when the packet comes."""
    exchange, trust = abroad.exchange, abroad.exchange.trust
    seal, issuing = trust.signing_certificate_of_agency("H12.01"), trust.issuing_certificate()
    assert seal is not None
    assert issuing is not None
    issue(abroad)
    asked = ocsp.OCSPRequestBuilder().add_certificate(seal, issuing, hashes.SHA256()).build()
    (trust.path / "ocsp").mkdir()
    (trust.path / "ocsp" / "seal.der").write_bytes(exchange.signer.ocsp(asked.public_bytes(Encoding.DER)))
    crl = trust.path / "crls" / "issuing.crl"
    put_aside = crl.rename(abroad.folder / "issuing.crl")

    def without_dss(pdf: bytes, anchors: Anchors, **how: bool) -> Verdict:
        return dataclasses.replace(
            judge_pdf(pdf, anchors, **how), verdict=INDETERMINATE, sub_indication=NO_WORD
        )

    monkeypatch.setattr(judged, "judge_pdf", without_dss)
    elsewhere.silent = True
    exchange.fetcher.seconds = 0.2
    round_trip(abroad)
    monkeypatch.undo()
    (first,) = arrivals(abroad)
    assert (first.state, bool(first.wrapped_key)) == ("held", True)
    fetcher, due = Fetcher(trust, 0), now_us() + 61_000_000
    assert reconsidering.complete(exchange, fetcher, due) == 0
    put_aside.rename(crl)
    assert reconsidering.complete(exchange, fetcher, due + 240_000_000) == 2, (
        "and the status, held at the sender"
    )
    (now,) = arrivals(abroad)
    assert (now.ref, now.state, now.fields.reason) == (first.ref, "arrived", "")
    assert now.fields.official
    kept = reports.opened_for(exchange, now, abroad.province.people[RECEIVER])
    assert [report.verdict.verdict for report, _ in kept] == [INDETERMINATE, "TOTAL-PASSED"]
    assert kinds(abroad, now)[-1] == "document.judged"


def test_what_was_revoked_meanwhile_stays_with_the_clerk(abroad: Office, elsewhere: Elsewhere) -> None:
    exchange, trust = abroad.exchange, abroad.exchange.trust
    first, due = held(abroad, elsewhere)
    seal = trust.signing_certificate_of_agency("H12.01")
    assert seal is not None
    exchange.signer.revoke(seal.serial_number, "keyCompromise", "t")
    assert reconsidering.complete(exchange, exchange.new_fetcher(), due) == 1
    (now,) = arrivals(abroad)
    assert (now.ref, now.state) == (first.ref, "held")
    assert "REVOKED" in now.fields.reason
    assert kinds(abroad, now) == ["document.packet-held", "document.judged"]
    assert reconsidering.complete(exchange, exchange.new_fetcher(), due + 10**12) == 0


def test_waiting_ends_when_a_person_decided_or_after_thirty_days(
    abroad: Office, elsewhere: Elsewhere
) -> None:
    exchange = abroad.exchange
    _, due = held(abroad, elsewhere)
    assert reconsidering.complete(exchange, exchange.new_fetcher(), due + 31 * 86_400_000_000) == 0
    with exchange.database.reading() as conn:
        assert conn.execute(sa.select(schema.word_awaited)).first() is None
