# SPDX-License-Identifier: AGPL-3.0-or-later
"""Before each signature: the certificate of who signs and those above it are valid now, else nothing is signed
(ND23/2025 Art. 15, R-SIG-22; DESIGN 4.18: not with a revocation list that ended)."""

from __future__ import annotations

from cryptography import x509

from config.refusal import Refused, Unavailable
from exchange.exchange import Exchange
from exchange.trust.holding import facts_of
from mailserver.delivery import refusal_of
from policy.judge import judge

_CODES = {"missing": "no-certificate", "unknown": "revocation-list-old"}


def person_may_sign(exchange: Exchange, address: str) -> None:
    """Raises `Refused` or `Unavailable` (no word on revocation now) when this person's certificate is not valid now."""
    _ask(exchange, exchange.trust.certificate_of_person(address), address)


def agency_may_seal(exchange: Exchange, code: str) -> None:
    """The same of the certificate of an agency's seal."""
    _ask(exchange, exchange.trust.signing_certificate_of_agency(code), exchange.agency(code).name)


def _ask(exchange: Exchange, certificate: x509.Certificate | None, name: str) -> None:
    facts = facts_of(certificate, name, exchange.trust.anchors(), "sign")
    decision = judge(facts, exchange.rulebook)
    if decision.passes:
        return
    said = refusal_of(decision)
    kind = Unavailable if facts.state == "unknown" else Refused
    raise kind(_CODES.get(facts.state, "certificate-not-valid"), said.vi, said.en, rule=said.rule)
