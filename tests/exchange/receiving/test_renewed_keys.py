# SPDX-License-Identifier: AGPL-3.0-or-later
"""Five renewals of an agency's keys later the first packet in its registry mailbox still opens, and so do the files of it."""

from __future__ import annotations

from exchange.documents import opening
from exchange.key_acts import acts
from exchange.trust.verdict import PASSED
from tests.exchange.documents.office import Office
from tests.exchange.receiving.carrying import RECEIVER, arrivals, deliver, issue, round_trip, take_queue


def test_the_first_packet_opens_five_renewals_later(small_office: Office) -> None:
    exchange, clerk = small_office.exchange, small_office.province.people[RECEIVER]
    packets = []
    for number in range(6):
        issue(small_office, subject=f"Số {number}")
        ((sender, to, packet),) = take_queue(small_office)
        packets.append(packet)
        deliver(small_office, sender, to, packet)
        round_trip(small_office)
        if number < 5:
            acts(exchange)["key.issue"](agency="H12.02", person="", approval="", renew="both", by="t")
    for number, packet in enumerate(packets):
        opened, verdict = opening.open_packet_file(exchange, small_office.other, packet, RECEIVER)
        assert verdict.verdict == PASSED, verdict
        assert f"Số {number}".encode() in opened.edxml
    came = arrivals(small_office)
    assert [one.state for one in came] == ["arrived"] * 6
    for one in came:
        assert opening.open_for(exchange, one.ref, clerk)[0].data.startswith(b"%PDF")
