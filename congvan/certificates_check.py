# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: certificates of people, seals, encryption, time-stamps and ledger that end soon (R-SIG-21)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from config.refusal import Refused
from config.settings import Settings
from exchange.signing.provision import days_left
from exchange.trust.anchors import read_certificates

DAYS = 30
_NAMED = 5


def look(settings: Settings) -> tuple[bool, str, str]:
    """(none ends soon, words in Vietnamese, in English)."""
    found = sorted(_ending(settings.trust_dir))
    if not found:
        return True, f"không có chứng thư nào hết hạn trong {DAYS} ngày", f"none ends within {DAYS} days"
    named = ", ".join(f"{name} ({days})" for days, name in found[:_NAMED])
    more = f" +{len(found) - _NAMED}" if len(found) > _NAMED else ""
    return (
        False,
        f"{len(found)} chứng thư sắp hoặc đã hết hạn (số ngày còn lại): {named}{more}: `congvan agency key renew`",
        f"{len(found)} end soon or have ended (days left): {named}{more}: `congvan agency key renew`",
    )


def _ending(trust: Path) -> Iterator[tuple[int, str]]:
    retired = ".retired"
    files = [trust / "tsa.pem", trust / "ledger.pem", trust / "intermediate.pem"]
    files += sorted((trust / "people").glob("*.pem")) + sorted((trust / "agencies").glob("*.pem"))
    for file in files:
        if file.stem.endswith(retired) or not file.is_file():
            continue
        try:
            days = days_left(read_certificates(file.read_bytes(), file.name)[0])
        except (Refused, IndexError):
            yield -1, file.name
            continue
        if days <= DAYS:
            yield days, unquote(file.stem)
