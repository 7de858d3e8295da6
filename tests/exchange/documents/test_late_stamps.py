# SPDX-License-Identifier: AGPL-3.0-or-later
"""No time-stamp authority answers: the document leaves all the same, the late stamp goes into the evidence."""

from __future__ import annotations

import dataclasses

from exchange.documents import archive, files, late_stamps
from exchange.documents.model import DocumentRef
from exchange.receiving.evidence import evidence_of
from exchange.sealing.judging import Judging
from exchange.verifying.evidence import verify_evidence
from tests.exchange.documents.office import Office
from tests.exchange.receiving.carrying import issue

CLERK = "vt1@vpubnd.camau.example"


def test_an_outage_of_time_stamps_stops_nothing(any_office: Office) -> None:
    usual = any_office.exchange
    told = dataclasses.replace(usual.settings.timestamps, order=["http://127.0.0.1:9/"], seconds=0.5)
    down = dataclasses.replace(usual, settings=dataclasses.replace(usual.settings, timestamps=told))
    made = issue(dataclasses.replace(any_office, exchange=down))
    assert made["state"] == "sent"
    assert late_stamps.stamp_late(down) == 0
    assert late_stamps.stamp_late(usual) == 1
    assert late_stamps.stamp_late(usual) == 0
    while any_office.sequencer.sequence_once():
        pass
    ref = DocumentRef(*(int(one) for one in made["id"].split("-")))
    evidence = evidence_of(usual, ref, CLERK)
    verdict = verify_evidence(evidence, Judging(usual.trust.anchors()), usual.ledger_keys.all)
    assert verdict.verdict == "TOTAL-PASSED", verdict
    assert any(one.role == "timestamp" for one in verdict.signatures)
    with usual.database.reading() as conn:
        kept = files.listing(conn, usual.seal, ref)
    assert [one.role for one in kept].count("stamp") == 1


def test_an_archive_copy_is_kept_beside_the_sent_file(any_office: Office) -> None:
    exchange = any_office.exchange
    made = issue(any_office)
    ref = DocumentRef(*(int(one) for one in made["id"].split("-")))
    first, verdict = archive.renewed(exchange, ref)
    second, _ = archive.renewed(exchange, ref)
    assert (verdict.verdict, verdict.official) == ("TOTAL-PASSED", True)
    assert second.data.startswith(first.data)
    with exchange.database.reading() as conn:
        kept = files.listing(conn, exchange.seal, ref)
    issued = next(one for one in kept if one.role == "issued")
    assert issued.sha256 == second.original
    assert [one.role for one in kept].count("archive") == 2
    assert archive.renew_due(exchange) == 0  # the day after, and then once a year
