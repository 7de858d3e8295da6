# SPDX-License-Identifier: AGPL-3.0-or-later
"""The pages over an office with a real signer: documents are really issued, carried and received."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.settings import Installation as Who
from config.settings import Submission
from exchange.signing.token_module import TokenPlace
from mailserver.accounts import passwords
from mailserver.accounts.changes import NewAccount, add_account
from mailserver.store import mailboxes
from tests.conftest import Province
from tests.exchange.documents.office import Office, draft_pdf, office
from tests.exchange.receiving.carrying import round_trip
from tests.webmail.conftest import Site, make_parts
from webmail.app import create_app
from webmail.bridge import Bridge

CLERK, LEADER = "vt1@vpubnd.camau.example", "lanhdao@vpubnd.camau.example"
DRAFTER, RECEIVER = "cv1@vpubnd.camau.example", "vt1@sonoivu.camau.example"
AUDITOR = "thanhtra@vpubnd.camau.example"


@dataclass
class DocumentSite(Site):
    """A site whose documents work."""

    office: Office

    def carry(self) -> None:
        """Mail goes over, the worker works, the ledger is sealed."""
        round_trip(self.office)
        while self.office.sequencer.sequence_once():
            pass


@pytest.fixture
def documents(small_province: Province, bridge: Bridge, tmp_path: Path) -> Iterator[DocumentSite]:
    """Pages, people with passwords, a signer, a ledger, and an auditor."""
    with documents_of(small_province, bridge, tmp_path) as made:
        yield made


@contextmanager
def documents_of(
    small_province: Province, bridge: Bridge, tmp_path: Path, token: TokenPlace | None = None
) -> Iterator[DocumentSite]:
    """The same with tokens for the signer."""

    def job(conn: Any) -> Any:
        kept = (passwords.APP, passwords.keep(passwords.APP, "x" * 26))
        new = NewAccount(AUDITOR, "Thanh tra viên", "Thanh tra viên", "auditor", (kept,))
        made = add_account(conn, small_province.seal, small_province.home, new)
        mailboxes.create_standard(conn, small_province.seal, made.ref)
        return made

    small_province.people[AUDITOR] = small_province.database.write(job)
    small_province.accounts.forget()
    with office(small_province, tmp_path, token=token) as made:
        settings = dataclasses.replace(
            made.exchange.settings,
            installation=Who(name="tỉnh Cà Mau", tls_name="mail.camau.example", demo=True),
            submission=Submission(undo_seconds=0),
        )
        parts = make_parts(small_province, settings)
        parts.exchange = made.exchange
        app = create_app(parts, bridge)
        app.testing = False
        yield DocumentSite(parts, small_province, bridge, app, made)


def form(**changed: Any) -> dict[str, Any]:
    """The issuing form filled in."""
    fields: dict[str, Any] = {
        "mark": "0123456789abcdef",
        "kind": "Thông báo",
        "unit": "",
        "subject": "Về việc họp giao ban",
        "signer": LEADER,
        "to": ["H12.02"],
        "text": "",
        "filter": "",
        "approved": "1",
        "pdf": (io.BytesIO(draft_pdf()), "thong-bao.pdf"),
    }
    return {name: value for name, value in {**fields, **changed}.items() if value is not None}
