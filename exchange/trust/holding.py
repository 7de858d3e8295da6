# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whether a signing certificate holds now: the facts that R-SIG-21 and R-SIG-22 judge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeAlias

from cryptography import x509

from config.clock import today_local
from exchange.trust.anchors import Anchors
from exchange.trust.chain import Usage, validate_chain
from exchange.trust.verdict import NO_WORD, PASSED
from policy.facts import CertificateFacts

State: TypeAlias = Literal["valid", "expired", "revoked", "not-yet", "untrusted", "missing", "unknown"]
_STATES: dict[str, State] = {
    "EXPIRED": "expired",
    "REVOKED": "revoked",
    "NOT_YET_VALID": "not-yet",
    NO_WORD: "unknown",
}


def facts_of(
    certificate: x509.Certificate | None,
    holder: str,
    anchors: Anchors,
    moment: Literal["sign", "periodic"],
    usage: Usage = "sign",
) -> CertificateFacts:
    """``certificate`` of ``holder`` (None: there is none) as of now, with those above it."""
    now, day = datetime.now(UTC), today_local()
    if certificate is None:
        return CertificateFacts(moment, day, holder, "missing")
    told = validate_chain(certificate, (), anchors, now, require_revocation=True, usage=usage)
    state: State = "valid" if told.status == PASSED else _STATES.get(told.sub_indication, "untrusted")
    return CertificateFacts(moment, day, holder, state, (certificate.not_valid_after_utc - now).days)
