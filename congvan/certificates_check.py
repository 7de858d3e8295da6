# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: certificates of people, seals, encryption, time-stamps and ledger that end soon (R-SIG-21)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from config.refusal import Refused
from config.settings import Settings
from congvan.installation import open_rulebook
from exchange.signing.provision import days_left
from exchange.trust.anchors import read_certificates
from exchange.trust.directory import TrustDirectory
from exchange.trust.holding import facts_of
from policy.judge import judge

_NAMED = 5


def look(settings: Settings) -> tuple[bool, str, str]:
    """(none ends soon or is revoked, words in Vietnamese, in English)."""
    found = sorted(_ending(settings))
    if not found:
        return True, "không có chứng thư nào sắp hết hạn hoặc bị thu hồi", "none ends soon or is revoked"
    named = ", ".join(f"{name} ({days})" for days, name in found[:_NAMED])
    more = f" +{len(found) - _NAMED}" if len(found) > _NAMED else ""
    return (
        False,
        f"{len(found)} chứng thư sắp hết hạn, đã hết hạn hoặc bị thu hồi (số ngày còn lại): {named}{more}:"
        " `congvan agency key renew` (R-SIG-21)",
        f"{len(found)} end soon, have ended or are revoked (days left): {named}{more}: `congvan agency key renew` (R-SIG-21)",
    )


def _ending(settings: Settings) -> Iterator[tuple[int, str]]:
    retired, trust = ".retired", TrustDirectory(settings.trust_dir)
    rulebook, anchors = open_rulebook(settings), trust.anchors()
    files = [trust.path / "tsa.pem", trust.path / "ledger.pem", trust.path / "intermediate.pem"]
    files += sorted((trust.path / "people").glob("*.pem")) + sorted((trust.path / "agencies").glob("*.pem"))
    for file in files:
        if file.stem.endswith(retired) or not file.is_file():
            continue
        try:
            certificate = read_certificates(file.read_bytes(), file.name)[0]
        except (Refused, IndexError):
            yield -1, file.name
            continue
        name = unquote(file.stem)
        facts = facts_of(certificate, name, anchors, "periodic", "any")
        if judge(facts, rulebook).findings:
            yield days_left(certificate), name
