# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 between a signature of the signer and its record: nothing lost, nothing doubled, the number kept.

A process of its own carries the document on and is killed where the record of a signature would begin; the
signer, in this process, has used the key by then. Afterwards the clerk goes on.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from config.clock import today_local
from exchange.documents import draft, files, opening, walk
from exchange.documents.approve import approve
from exchange.documents.model import DocumentRef
from exchange.documents.work import load
from exchange.registers import rows
from exchange.trust.pdf_judge import judge_pdf
from mailserver.store import outbound
from tests.conftest import Province
from tests.crash.one_process import run_killed
from tests.exchange.documents.office import Office, draft_pdf, office
from tests.exchange.receiving.carrying import issue

CLERK, LEADER = "vt1@vpubnd.camau.example", "lanhdao@vpubnd.camau.example"
OTHER_CLERK, OTHER_LEADER = "vt1@sonoivu.camau.example", "lanhdao@sonoivu.camau.example"

_PROCESS = """
import sys
from exchange.documents import carrying, signature, turns, walk
from exchange.documents.model import DocumentRef
from tests.crash.one_process import die, exchange_of

made, (ref, where, clerk) = exchange_of(sys.argv)
if where == "person":
    signature.write = die
elif where == "packet":
    carrying.queue = die
else:
    real = turns.finish
    def finish(conn, ref, turn):
        if turn.kind == "seal":
            die()
        real(conn, ref, turn)
    turns.finish = finish
at = DocumentRef(*(int(one) for one in ref.split("-")))
who = made.accounts.by_address(clerk)
walk.seal(made, at, who) if where == "joint" else walk.go_on(made, at, who)
"""


@pytest.fixture
def made(small_province: Province, tmp_path: Path):  # type: ignore[no-untyped-def]
    with office(small_province, tmp_path) as one:
        yield one


def killed(made: Office, ref: DocumentRef, where: str, clerk: str = CLERK) -> None:
    run_killed(made, _PROCESS, ref.id, where, clerk)


@pytest.mark.parametrize("where", ["person", "seal", "packet"])
def test_killed_between_signature_and_record_the_document_goes_on_once(made: Office, where: str) -> None:
    exchange, people = made.exchange, made.province.people
    request = draft.DraftRequest("H12.01", ("H12.02",), "Thông báo", "Họp", LEADER, CLERK)
    work = draft.create(exchange, request, draft_pdf())
    approve(exchange, work.ref, people[LEADER], people[CLERK])
    killed(made, work.ref, where)
    before = load(exchange, work.ref)
    assert before.state == {"person": "approved", "seal": "numbered", "packet": "sealed"}[where]
    killed(made, work.ref, where)  # and once more at the same place
    assert load(exchange, work.ref).fields.number == before.fields.number
    told = walk.go_on(exchange, work.ref, people[CLERK])
    assert (told["state"], told["number"]) == ("sent", "01/TB-VP")
    _once(made, work.ref, ["person", "organisation"])


def test_killed_at_the_joint_seal_it_is_given_again_once(made: Office) -> None:
    exchange, people = made.exchange, made.province.people
    told = issue(made, co_signers=[OTHER_LEADER])
    ref = DocumentRef(*(int(one) for one in told["id"].split("-")))
    killed(made, ref, "joint", OTHER_CLERK)
    assert load(exchange, ref).state == "sealing"
    assert walk.seal(exchange, ref, people[OTHER_CLERK])["state"] == "sent"
    _once(made, ref, ["person", "person", "organisation", "organisation"])


def _once(made: Office, ref: DocumentRef, roles: list[str]) -> None:
    """One number, one packet, each signature once, and all of them sound."""
    exchange = made.exchange
    (found,) = opening.open_for(exchange, ref, made.province.people[CLERK])
    verdict = judge_pdf(found.data, exchange.trust.anchors(), require_revocation=True)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True), verdict
    assert [one.role for one in verdict.signatures if one.role != "timestamp"] == roles
    with exchange.database.reading() as conn:
        kept = rows.listing(conn, exchange.seal, ref.agency, "outgoing", today_local().year)
        assert [(row.key.number, row.state) for row in kept] == [(1, "issued")]
        assert len(outbound.listed(conn, exchange.seal)) == 1
        stored = [one.role for one in files.listing(conn, exchange.seal, ref)]
    assert stored.count("issued") == stored.count("packet") == 1
