# SPDX-License-Identifier: AGPL-3.0-or-later
"""A mail server with a DNS of our own, in which every client is a stranger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import Dns, Hygiene
from tests.conftest import Province
from tests.mailserver.dns.serving import Zone, serving_dns
from tests.mailserver.senderauth.letters import record
from tests.mailserver.senderauth.test_dkim import ED
from tests.mailserver.smtp.serving import Serving, serving, settings_for

ZONE: Zone = {
    "dongnai.example": [("TXT", "v=spf1 ip4:192.0.2.1 -all")],
    "_dmarc.dongnai.example": [("TXT", "v=DMARC1; p=reject")],
    "s1._domainkey.dongnai.example": [("TXT", record(ED))],
    "_dmarc.quan.example": [("TXT", "v=DMARC1; p=quarantine")],
}
Start = Callable[..., AbstractContextManager[Serving]]


@pytest.fixture
def start(small_province: Province, tmp_path: Path) -> Iterator[Start]:
    """Serve with a DNS of our own, in which every client is a stranger."""
    with serving_dns(ZONE) as dns:

        def begin(**hygiene: object) -> AbstractContextManager[Serving]:
            chosen = replace(
                settings_for(tmp_path),
                dns=Dns(enabled=True, servers=[dns.place], timeout=8.0),
                hygiene=replace(Hygiene(), trusted_networks=[], **hygiene),  # type: ignore[arg-type]
            )
            return serving(small_province, tmp_path, chosen)

        yield begin
