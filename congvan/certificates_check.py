# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: certificates of people, seals and encryption that end soon (R-SIG-21), and of the installation itself."""

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
_AHEAD = {"intermediate": ("issuing", 760), "tsa": ("timestamps", 30), "ledger": ("ledger", 30)}
"""Days: an issuing authority must outlive what it issues, two years and a month."""


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


def authorities(settings: Settings) -> tuple[bool, str, str]:
    """The same of issuing authority, time-stamps and ledger."""
    found = []
    for name, (which, ahead) in _AHEAD.items():
        file = settings.trust_dir / f"{name}.pem"
        if not file.is_file():
            continue
        try:
            days = days_left(read_certificates(file.read_bytes(), file.name)[0])
        except (Refused, IndexError):
            days = -1
        if days <= ahead:
            found.append(f"{which} ({days}): `congvan authority renew {which}`")
    if not found:
        return True, "còn hạn", "none ends soon"
    named = "; ".join(found)
    return False, f"sắp hết hạn (số ngày còn lại): {named}", f"end soon (days left): {named}"


def _ending(settings: Settings) -> Iterator[tuple[int, str]]:
    retired, trust = ".retired", TrustDirectory(settings.trust_dir)
    rulebook, anchors = open_rulebook(settings), trust.anchors()
    files = sorted((trust.path / "people").glob("*.pem")) + sorted((trust.path / "agencies").glob("*.pem"))
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
