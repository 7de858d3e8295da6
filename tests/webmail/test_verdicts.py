# SPDX-License-Identifier: AGPL-3.0-or-later
"""A letter's page says what the door found out about it, in words, in both languages."""

from __future__ import annotations

import pytest

from mailserver.delivery import Incoming, Recipient
from mailserver.hygiene import Verdict
from tests.webmail.conftest import CIVIL, Site, letter


def put(site: Site, verdict: Verdict | None, box: str = "inbox") -> str:
    """The page of a letter that came in by MX with ``verdict``."""
    raw = letter("Gửi tệp", sender="a@xn--e1awd7f.example").as_bytes().replace(b"\n", b"\r\n")
    incoming = Incoming("a@khac.example", (Recipient(CIVIL),), raw, "mx", client="192.0.2.1", verdict=verdict)
    outcome = site.bridge.wait(site.parts.delivery.deliver(incoming))
    ((_, uid),) = outcome.local
    return f"/mail/{box}/{uid}"


@pytest.mark.parametrize(
    ("verdict", "box", "vi", "en"),
    [
        (Verdict("proved", "so.example"), "inbox", "Người gửi đã xác thực", "Sender proved"),
        (Verdict("unproved", "so.example"), "inbox", "Người gửi chưa xác thực", "Sender not proved"),
        (
            Verdict("failed", "so.example", dmarc="fail", policy="quarantine", junk="dmarc"),
            "junk",
            "Có thể là thư giả mạo",
            "This letter may be forged",
        ),
        (
            Verdict("unproved", "so.example", junk="spam"),
            "junk",
            "bộ lọc cho là thư rác",
            "takes it for spam",
        ),
        (Verdict("unproved", "cаmau.example", odd_label="cаmau"), "inbox", "R-MAIL-12", "R-MAIL-12"),
    ],
)
def test_what_the_door_found(site: Site, verdict: Verdict, box: str, vi: str, en: str) -> None:
    page = put(site, verdict, box)
    assert vi in site.signed_in(CIVIL).get(page).text
    assert en in site.signed_in(CIVIL, "en").get(page).text


def test_a_letter_nobody_was_asked_about_says_nothing(site: Site) -> None:
    text = site.signed_in(CIVIL).get(put(site, None)).text
    assert "xác thực" not in text
