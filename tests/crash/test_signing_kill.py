# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 between a signature of the signer and its record: nothing lost, nothing doubled, the number kept.

A process of its own carries the document on and is killed where the record of a signature would begin; the
signer, in this process, has used the key by then. Afterwards the clerk goes on.
"""

from __future__ import annotations

import subprocess
import sys
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
from tests.exchange.documents.office import Office, draft_pdf, office

CLERK, LEADER = "vt1@vpubnd.camau.example", "lanhdao@vpubnd.camau.example"
OTHER_CLERK, OTHER_LEADER = "vt1@sonoivu.camau.example", "lanhdao@sonoivu.camau.example"

_PROCESS = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
import exchange.schema
from config.database import Database
from config.settings import Exchange as ExchangeSettings, Installation, Settings
from config.wake import Wake
from exchange.documents import carrying, signature, turns, walk
from exchange.documents.model import DocumentRef
from exchange.exchange import Exchange
from exchange.signing.signer_client import SignerClient
from mailserver.accounts import Accounts
from mailserver.store import Store
from mailserver.store.segments import Segments
from policy.rulebook import load
from tests.conftest import fixed_seal
from tests.exchange.documents.office import ORIGIN

folder, socket, ref, where, clerk = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
database, seal, wake = Database(sys.argv[6], folder / "write.lock"), fixed_seal(), Wake(folder)
settings = Settings(base=folder, file=folder / "province.toml", installation=Installation(demo=True, origin=ORIGIN),
                    exchange=ExchangeSettings(status_gather=0.0))
parts = SimpleNamespace(settings=settings, database=database, seal=seal, accounts=Accounts(database, seal),
                        store=Store(database, seal, Segments(folder / "segments"), wake), wake=wake, rulebook=load(None))
made = Exchange.of(parts, SignerClient(socket, timeout=20))

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

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
    url = made.exchange.database.url
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _PROCESS,
            *(str(made.folder), str(made.exchange.signer._path), ref.id, where, clerk, url),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == -9, done.stderr


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
    told = walk.issue_from_pdf(
        exchange,
        draft_pdf(),
        agency="H12.01",
        to=["H12.02"],
        kind="Thông báo",
        subject="Họp",
        signer=LEADER,
        clerk=CLERK,
        co_signers=[OTHER_LEADER],
    )
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
