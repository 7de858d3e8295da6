# SPDX-License-Identifier: AGPL-3.0-or-later
"""Judged once on receipt: the kept report is what everybody reads; judging anew stands beside it."""

from __future__ import annotations

import json

import pytest

from config.refusal import Refused
from exchange.documents import judged, records
from exchange.documents.work import judging, load
from exchange.receiving import accepting, reports
from exchange.trust.anchors import Anchors
from exchange.verifying.file import verify_file
from exchange.verifying.report import read_report
from exchange.worker import acts
from policy.rights import Forbidden
from tests.exchange.documents.office import Office
from tests.exchange.receiving.carrying import CLERK, RECEIVER, arrivals, issue, round_trip


def _arrived(office: Office):  # type: ignore[no-untyped-def]
    issue(office)
    round_trip(office)
    (arrived,) = arrivals(office)
    return arrived


def test_kept_verdict_stays_and_anew_stands_beside(any_office: Office) -> None:
    """Without the revocation lists of arrival nothing can be decided any more: the kept report still says what was."""
    office, exchange = any_office, any_office.exchange
    arrived, clerk = _arrived(office), office.province.people[RECEIVER]
    for path in (exchange.trust.path / "crls").glob("*.crl"):
        path.unlink()
    anew, _ = reports.judge_anew(exchange, arrived.ref, clerk)
    assert anew.verdict.verdict == "INDETERMINATE"
    (first, _), (second, _) = reports.opened_for(exchange, load(exchange, arrived.ref), clerk)
    assert (first.verdict.verdict, first.verdict.official) == ("TOTAL-PASSED", True)
    assert second == anew
    assert [name for name, _ in second.layers] == [name for name, _ in first.layers]
    assert second.layers[1][1].verdict == "INDETERMINATE"  # the XML signature carries no revocation data
    with exchange.database.reading() as conn:
        (event,) = (
            one for one in records.events(conn, exchange.seal, arrived.ref) if one.kind == "document.judged"
        )
    assert event.told == {"by": RECEIVER, "verdict": "INDETERMINATE"}
    assert event.detail is not None


def test_accepting_judges_nothing_anew(small_office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = _arrived(small_office)
    called: list[bytes] = []
    monkeypatch.setattr(judged, "judge_pdf", lambda data, *_args, **_more: called.append(data))
    assert (
        accepting.accept(small_office.exchange, arrived.ref, small_office.province.people[RECEIVER]) == "01"
    )
    assert called == []


def test_the_same_words_on_the_command_line_and_in_the_file(small_office: Office) -> None:
    office, exchange = small_office, small_office.exchange
    arrived = _arrived(office)
    table = acts(exchange)
    asked = {"document": arrived.id, "agency": "H12.02", "who": RECEIVER}
    (kept,) = table["document.report"](**asked, anew=False)["items"]
    assert (kept["kind"], kept["verdict"], kept["official"]) == ("report", "TOTAL-PASSED", True)
    assert kept["meaning"]["vi"] == "Hợp lệ"
    both = table["document.report"](**asked, anew=True)["items"]
    assert [one["verdict"] for one in both] == ["TOTAL-PASSED"] * 2
    anchors = exchange.trust.anchors()
    verdict = verify_file(kept["data"], "01.report.json", anchors=Anchors(anchors.roots))
    assert verdict.as_json() == {name: kept[name] for name in verdict.as_json()}
    for person in (CLERK, "thanhtra@nowhere.example"):
        with pytest.raises(Refused):
            table["document.report"](document=arrived.id, agency="H12.02", who=person, anew=True)
    with pytest.raises(Forbidden):
        reports.judge_anew(exchange, arrived.ref, office.province.people[CLERK])


def test_a_report_is_what_the_seal_signed(small_office: Office) -> None:
    """Every field of the body is signed; a report of somebody else's seal, or in another agency's name, is none."""
    exchange = small_office.exchange
    arrived = _arrived(small_office)
    ((_, data),) = reports.opened_for(exchange, arrived, small_office.province.people[RECEIVER])
    told = json.loads(data)
    mine = judging(exchange)

    def read(**changed: object):  # type: ignore[no-untyped-def]
        return read_report(json.dumps(told | changed).encode(), mine)

    assert read() is not None
    for altered in (
        told["body"].replace("TOTAL-PASSED", "TOTAL-FAILED", 1),
        told["body"].replace("H12.02", "H12.01", 1),
        told["body"].replace('"official":true', '"official":false', 1),
        told["body"][:-1],
    ):
        assert read(body=altered) is None
        verdict = verify_file(json.dumps(told | {"body": altered}).encode(), anchors=exchange.trust.anchors())
        assert (verdict.kind, verdict.verdict) == ("report", "TOTAL-FAILED")
    assert read(congvan_report=1) is None
    assert read(chain=[]) is None
    other = reports.signed_report(exchange, small_office.home, "00", [])
    assert read(signature=json.loads(other)["signature"], chain=json.loads(other)["chain"]) is None
    assert read_report(data, judging(exchange).__class__(Anchors())) is None
    for end in range(0, len(data), 97):
        cut = verify_file(data[:end], "x.report.json", anchors=exchange.trust.anchors())
        assert not cut.passed
