# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document is issued: from a PDF to the queue, refusals on the way, and going on after a crash."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from config.clock import now_us, today_local
from config.refusal import Refused, Unavailable
from exchange.documents import draft, files, listing, opening, records, schema, walk
from exchange.documents.approve import approve
from exchange.documents.issue import issue
from exchange.documents.model import DocumentRef
from exchange.documents.number import number
from exchange.documents.sign import sign
from exchange.documents.void import void
from exchange.documents.work import Work, load, take_up
from exchange.registers import rows
from exchange.registers.schema import register_counter, register_row
from exchange.trust.pdf_judge import judge_pdf
from mailserver.store import outbound
from policy.ledger import schema as ledger
from policy.rights import Forbidden
from tests.exchange.documents.office import Office, draft_pdf
from tests.exchange.receiving.carrying import issue as issued

CLERK, LEADER = "vt1@vpubnd.camau.example", "lanhdao@vpubnd.camau.example"


def numbered(office: Office) -> Work:
    """A document as a crash right after its number leaves it."""
    exchange, people = office.exchange, office.province.people
    request = draft.DraftRequest("H12.01", ("H12.02",), "Thông báo", "Họp giao ban", LEADER, CLERK)
    work = draft.create(exchange, request, draft_pdf())
    approve(exchange, work.ref, people[LEADER], people[CLERK])
    sign(exchange, work)
    number(exchange, work, people[CLERK])
    return work


def kinds_of(office: Office) -> list[str]:
    with office.exchange.database.reading() as conn:
        rows_ = conn.execute(sa.select(ledger.pending.c.kind).order_by(ledger.pending.c.id))
        return [row.kind for row in rows_]


def waiting(office: Office) -> int:
    with office.exchange.database.reading() as conn:
        return len(outbound.listed(conn, office.exchange.seal))


def test_every_arrow_is_a_ledger_entry(any_office: Office) -> None:
    told = issued(any_office)
    assert told["number"] == "01/TB-VP"
    assert told["document_id"] == f"H12.01,{today_local():%Y/%m/%d},01/TB-VP"
    assert told["state"] == "sent"
    assert len(told["packet_digest"]) == 64
    assert [one for one in kinds_of(any_office) if one.startswith(("document.", "register."))] == [
        "document.drafted",
        "document.content-checked",
        "document.form-checked",
        "document.approved",
        "document.person-signed",
        "register.numbered",
        "document.numbered",
        "document.sealed",
        "register.issued",
        "document.issued",
        "document.sent",
    ]
    assert waiting(any_office) == 1


def test_the_issued_pdf_is_official_and_only_the_right_person_opens_it(small_office: Office) -> None:
    exchange, people = small_office.exchange, small_office.province.people
    ref = DocumentRef(*(int(part) for part in issued(small_office)["id"].split("-")))
    (found,) = opening.open_for(exchange, ref, people[CLERK])
    verdict = judge_pdf(found.data, exchange.trust.anchors(), require_revocation=True)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True)
    assert [(step.kind, step.by) for step in listing.show(exchange, ref).timeline][-1] == (
        "document.opened",
        CLERK,
    )
    for stranger in ("cv1@vpubnd.camau.example", "vt1@sonoivu.camau.example"):
        with pytest.raises(Forbidden):
            opening.open_for(exchange, ref, people[stranger])


def test_nothing_of_a_document_lies_in_clear(small_office: Office) -> None:
    word = "DAUHIEURIENG"
    issued(small_office, draft_pdf(word), subject=f"Về {word}")
    small_office.exchange.database.close()
    found = [path for path in small_office.folder.rglob("*") if path.is_file()]
    assert any("documents" in str(path) for path in found)
    assert [path for path in found if word.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"agency": "H99"}, "no-such-agency"),
        ({"to": ["H99"]}, "no-such-agency"),
        ({"to": []}, "no-recipient"),
        ({"to": ["H12.01"]}, "to-itself"),
        ({"kind": "Thông điệp"}, "unknown-kind"),
        ({"subject": " "}, "bad-subject"),
        ({"subject": "x" * 501}, "bad-subject"),
        ({"signer": CLERK}, "wrong-role"),
        ({"signer": "lanhdao@sonoivu.camau.example"}, "not-of-agency"),
        ({"clerk": LEADER}, "wrong-role"),
        ({"clerk": "vt1@sonoivu.camau.example"}, "not-of-agency"),
        ({"subject": "TUYỆT MẬT"}, "rule"),
        ({"secrecy": "Mật"}, "rule"),
        ({"kind": "Công văn", "unit": "A B"}, "bad-notation"),
    ],
)
def test_what_is_refused_leaves_nothing(small_office: Office, changed: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        issued(small_office, **changed)
    assert refused.value.code == code
    with small_office.exchange.database.reading() as conn:
        assert conn.execute(sa.select(schema.document.c.document)).all() == []
        assert conn.execute(sa.select(register_row.c.number)).all() == []


def test_a_mark_of_secrecy_on_the_first_page_is_seen(small_office: Office) -> None:
    with pytest.raises(Refused) as refused:
        issued(small_office, draft_pdf("TUYỆT MẬT"))
    assert refused.value.rule == "R-CON-03"


@pytest.mark.parametrize("pdf", [b"no pdf", b"%PDF-1.7\n", draft_pdf()[:2000]])
def test_a_broken_pdf_is_refused_with_words(small_office: Office, pdf: bytes) -> None:
    with pytest.raises(Refused) as refused:
        issued(small_office, pdf)
    assert refused.value.code.startswith("draft-")


def test_a_crash_after_the_number_goes_on_with_the_same_number(any_office: Office) -> None:
    work = numbered(any_office)
    before = load(any_office.exchange, work.ref).fields.number
    assert walk.resume(any_office.exchange) == 1
    document = load(any_office.exchange, work.ref)
    assert (document.state, document.fields.number) == ("sent", before)
    assert walk.resume(any_office.exchange) == 0
    assert waiting(any_office) == 1
    with any_office.exchange.database.reading() as conn:
        kept = rows.listing(conn, any_office.exchange.seal, work.ref.agency, "outgoing", today_local().year)
    assert [(row.key.number, row.state) for row in kept] == [(1, "issued")]


def test_a_crash_after_the_seal_goes_on(small_office: Office) -> None:
    work = numbered(small_office)
    issue(small_office.exchange, work, small_office.province.people[CLERK])
    assert load(small_office.exchange, work.ref).state == "sealed"
    assert walk.resume(small_office.exchange) == 1
    assert load(small_office.exchange, work.ref).state == "sent"


def test_sealing_again_for_the_row_gives_the_same_number(small_office: Office) -> None:
    """A crash after the signer sealed and before anything was kept."""
    exchange, clerk = small_office.exchange, small_office.province.people[CLERK]
    work = numbered(small_office)
    lost = records.advance

    def crash(*_args: Any, **_more: Any) -> None:
        raise Unavailable("crash", "", "")

    records.advance = crash
    try:
        with pytest.raises(Unavailable):
            issue(exchange, work, clerk)
    finally:
        records.advance = lost
    assert load(exchange, work.ref).state == "numbered"
    assert walk.resume(exchange) == 1
    assert load(exchange, work.ref).fields.number == "01/TB-VP"


def test_an_old_approval_of_the_seal_is_asked_again(small_office: Office) -> None:
    exchange = small_office.exchange
    work = numbered(small_office)
    old = now_us() - 400 * 1_000_000

    def age(conn: sa.Connection) -> None:
        conn.execute(sa.update(schema.document).values(updated_us=old))
        conn.execute(sa.update(schema.document_approval).values(at_us=old))

    exchange.database.write(age)
    assert walk.resume(exchange) == 0
    with pytest.raises(Refused) as refused:
        issue(exchange, take_up(exchange, work.ref, CLERK), small_office.province.people[CLERK])
    assert refused.value.code == "approval-expired"
    told = walk.go_on(exchange, work.ref, small_office.province.people[CLERK])
    assert (told["state"], told["number"]) == ("sent", "01/TB-VP")


def test_a_void_number_stays_with_its_reason(small_office: Office) -> None:
    exchange, clerk = small_office.exchange, small_office.province.people[CLERK]
    work = numbered(small_office)
    with pytest.raises(Refused):
        void(exchange, work.ref, clerk, " ")
    void(exchange, work.ref, clerk, "ký nhầm bản")
    assert load(exchange, work.ref).state == "void"
    assert walk.resume(exchange) == 0
    assert issued(small_office)["number"] == "02/TB-VP"
    with exchange.database.reading() as conn:
        kept = rows.listing(conn, exchange.seal, work.ref.agency, "outgoing", today_local().year)
    assert [(row.columns["number"], row.state, row.reason) for row in kept] == [
        ("01/TB-VP", "void", "ký nhầm bản"),
        ("02/TB-VP", "issued", ""),
    ]


def test_no_number_for_a_day_before_the_last(small_office: Office) -> None:
    exchange = small_office.exchange
    issued(small_office)
    later = date(today_local().year, 12, 31)
    exchange.database.write(lambda conn: conn.execute(sa.update(register_counter).values(last_date=later)))
    if today_local() < later:
        with pytest.raises(Refused) as refused:
            issued(small_office)
        assert refused.value.rule == "R-NUM-03"
        with exchange.database.reading() as conn:
            assert len(conn.execute(sa.select(register_row.c.number)).all()) == 1


def test_an_altered_file_does_not_open(small_office: Office) -> None:
    exchange = small_office.exchange
    work = numbered(small_office)
    with exchange.database.reading() as conn:
        stored = files.newest(conn, exchange.seal, work.ref, "signed")
    path = small_office.folder / "data" / "documents" / stored.path
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    assert exchange.files.exists(stored)
    with pytest.raises(Refused) as refused:
        issue(exchange, work, small_office.province.people[CLERK])
    assert refused.value.code == "seal-broken"
