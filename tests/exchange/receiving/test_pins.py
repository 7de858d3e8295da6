# SPDX-License-Identifier: AGPL-3.0-or-later
"""A packet sealed with a certificate that is not pinned: held on arrival, said to the clerk, opened after pinning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from config.refusal import Refused
from exchange.documents.work import load
from exchange.receiving import accepting, again
from exchange.trust import pins
from exchange.worker import acts
from policy.rights import Forbidden
from tests.exchange.documents.office import Office
from tests.exchange.receiving.carrying import CLERK, RECEIVER, arrivals, issue, outcome, round_trip


def _seal(office: Office):  # type: ignore[no-untyped-def]
    found = office.exchange.trust.signing_certificate_of_agency("H12.01")
    assert found is not None
    return found


def test_held_until_pinned(any_office: Office) -> None:
    """The whole walk: the sender rolled over unannounced; nothing is answered until the clerk opens it again."""
    office, exchange = any_office, any_office.exchange
    table, clerk = acts(exchange), office.province.people[RECEIVER]
    before = _seal(office).public_bytes(Encoding.PEM)
    assert len(table["pin.add"](agency="H12.01", data=before, since="", until="", by="t")["items"]) == 1
    table["key.issue"](agency="H12.01", person="", approval="", renew="sign", by="t")
    told = issue(office)
    round_trip(office)
    (held,) = arrivals(office)
    assert held.state == "held"
    assert "congvan agency pin add" in held.fields.reason
    assert "pins it" in held.fields.reason_en
    assert outcome(office, told)[0] == "pending"
    with pytest.raises(Refused) as refused:
        accepting.accept(exchange, held.ref, clerk)
    assert refused.value.code == "not-readable"
    with pytest.raises(Refused) as refused:
        again.look_again(exchange, held.ref, clerk)
    assert refused.value.code == "certificate-not-pinned"
    with pytest.raises(Forbidden):
        again.look_again(exchange, held.ref, office.province.people[CLERK])

    after = _seal(office).public_bytes(Encoding.PEM)
    table["pin.add"](agency="H12.01", data=after, since="", until="", by="t")
    answer = table["document.reopen"](document=held.id, agency="H12.02", who=RECEIVER)
    assert (answer["state"], answer["number"]) == ("arrived", told["number"])
    closed = load(exchange, held.ref)
    assert (closed.state, closed.fields.reason) == ("refused", "Gói tin đã được mở lại.")
    round_trip(office)
    assert outcome(office, told)[0] == "delivered"
    with pytest.raises(Refused) as refused:
        again.look_again(exchange, held.ref, clerk)
    assert refused.value.code == "wrong-state"
    assert (
        table["document.accept"](document=told["id"], agency="H12.02", clerk=RECEIVER)["arrival_number"]
        == "01"
    )


def test_pinned_and_announced_beforehand(small_office: Office) -> None:
    office, exchange = small_office, small_office.exchange
    table = acts(exchange)
    old = _seal(office)
    table["pin.add"](agency="H12.01", data=old.public_bytes(Encoding.DER), since="", until="", by="t")
    table["key.issue"](agency="H12.01", person="", approval="", renew="sign", by="t")
    new = _seal(office)
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    table["pin.add"](agency="H12.01", data=new.public_bytes(Encoding.DER), since=later, until="", by="t")
    assert [one["holds"] for one in table["pin.list"]()["items"]] == [True, False]
    lists = exchange.trust.lists()
    now = datetime.now(UTC)
    assert (lists.pinned("H12.01", old, now), lists.pinned("H12.01", new, now)) == (True, False)
    assert lists.pinned("H12.01", new, now + timedelta(days=4))
    digest = new.fingerprint(hashes.SHA256()).hex()
    table["pin.add"](agency="H12.01", data=new.public_bytes(Encoding.DER), since="", until="", by="t")
    assert [one["holds"] for one in table["pin.list"]()["items"]] == [True, True]  # told anew, not twice
    assert table["pin.remove"](agency="H12.01", sha256=digest[:16], by="t")["removed"] == 1
    assert not exchange.trust.lists().pinned("H12.01", new, now)


def test_what_is_not_pinned(small_office: Office) -> None:
    exchange = small_office.exchange
    table, seal = acts(exchange), _seal(small_office).public_bytes(Encoding.PEM)
    person = exchange.trust.certificate_of_person("lanhdao@vpubnd.camau.example")
    assert person is not None
    for data, code in (
        (b"", "trust-unreadable"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "trust-unreadable"),
        (person.public_bytes(Encoding.PEM), "no-certificate"),
    ):
        with pytest.raises(Refused) as refused:
            table["pin.add"](agency="H12.01", data=data, since="", until="", by="t")
        assert refused.value.code == code
    for changed, code in (
        ({"agency": "H12.02"}, "other-agency"),
        ({"agency": "H99"}, "no-such-agency"),
        ({"since": "yesterday"}, "bad-time"),
        ({"since": "2027-02-01", "until": "2027-01-01"}, "bad-time"),
    ):
        asked = {"agency": "H12.01", "data": seal, "since": "", "until": "", "by": "t"} | changed
        with pytest.raises(Refused) as refused:
            table["pin.add"](**asked)
        assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        pins.unpin(exchange.trust, "H12.01", "")
    assert refused.value.code == "no-such-pin"
    (exchange.trust.path / "ca.pem").rename(exchange.trust.path / "gone.pem")
    with pytest.raises(Refused) as refused:
        table["pin.add"](agency="H12.01", data=seal, since="", until="", by="t")
    assert refused.value.code == "certificate-not-trusted"
