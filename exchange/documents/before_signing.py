# SPDX-License-Identifier: AGPL-3.0-or-later
"""Before each signature: the certificate of who signs and those above it are valid now, else nothing is signed
(ND23/2025 Art. 15, R-SIG-22; DESIGN 4.18: not with a revocation list that ended)."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from config.refusal import Refused, Unavailable
from exchange.exchange import Exchange
from exchange.trust.chain import validate_chain
from exchange.trust.verdict import NO_WORD, PASSED

_RULE = "R-SIG-22"
_WHY = {
    "EXPIRED": ("đã hết hạn", "has expired"),
    "REVOKED": ("đã bị thu hồi", "was revoked"),
    "NOT_YET_VALID": ("chưa có hiệu lực", "is not valid yet"),
}
_OTHER = ("không dẫn về gốc tin cậy", "does not lead to a trusted root")


def person_may_sign(exchange: Exchange, address: str) -> None:
    """Raises `Refused` or `Unavailable` when this person's certificate is not valid now."""
    _valid(exchange, exchange.trust.certificate_of_person(address), address)


def agency_may_seal(exchange: Exchange, code: str) -> None:
    """The same of the certificate of an agency's seal."""
    _valid(exchange, exchange.trust.signing_certificate_of_agency(code), exchange.agency(code).name)


def _valid(exchange: Exchange, certificate: x509.Certificate | None, name: str) -> None:
    if certificate is None:
        raise Refused(
            "no-certificate",
            f"{name} chưa có chứng thư ký số.",
            f"{name} has no signing certificate.",
            rule=_RULE,
        )
    told = validate_chain(
        certificate, (), exchange.trust.anchors(), datetime.now(UTC), require_revocation=True
    )
    if told.status == PASSED:
        return
    if told.sub_indication == NO_WORD:
        raise Unavailable(
            "revocation-list-old",
            "Danh sách thu hồi đã quá hạn nên chưa kiểm được chứng thư; chưa ký gì. Nhờ quản trị xem `congvan check`.",
            "The revocation list has ended, so the certificate can't be checked; nothing was signed. See `congvan check`.",
            rule=_RULE,
        )
    vi, en = _WHY.get(told.sub_indication, _OTHER)
    raise Refused(
        "certificate-not-valid",
        f"Chứng thư ký của {name} {vi}; chưa ký gì. Nhờ cán bộ CNTT cấp lại (`congvan agency key renew`).",
        f"The certificate of {name} {en}; nothing was signed. Have your officer renew it (`congvan agency key renew`).",
        rule=_RULE,
    )
