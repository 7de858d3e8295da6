# SPDX-License-Identifier: AGPL-3.0-or-later
"""R-SIG-21, 22: certificates of signers, before each signature and ahead of their end (D23 Art. 15)."""

from __future__ import annotations

from policy.basis import D23, OWN, unconfirmed
from policy.facts import CertificateFacts
from policy.rule import Parameters, Said, certificate_rule

_WHY = {
    "expired": ("đã hết hạn", "has expired"),
    "revoked": ("đã bị thu hồi", "was revoked"),
    "not-yet": ("chưa có hiệu lực", "is not valid yet"),
    "untrusted": ("không dẫn về gốc tin cậy", "does not lead to a trusted root"),
}


@certificate_rule(
    "R-SIG-22",
    "Trước mỗi lần ký, chứng thư của người ký và của nơi cấp được kiểm tra; không còn hiệu lực thì không ký.",
    "Before each signing the signer's certificate and its issuer's are checked; if either is not valid, nothing is signed.",
    bases=(unconfirmed(D23),),
    sign="block",
)
def valid_before_signing(facts: CertificateFacts, _: Parameters) -> Said | None:
    """No word on revocation blocks as well: whether it is valid is not known."""
    if facts.state == "valid":
        return None
    if facts.state == "missing":
        return Said(
            f"{facts.holder} chưa có chứng thư ký số. Nhờ cán bộ CNTT cấp (`congvan agency key issue`).",
            f"{facts.holder} has no signing certificate. Have your officer issue one (`congvan agency key issue`).",
        )
    if facts.state == "unknown":
        return Said(
            "Danh sách thu hồi đã quá hạn nên chưa kiểm được chứng thư; chưa ký gì. Nhờ quản trị xem `congvan check`.",
            "The revocation list has ended, so the certificate can't be checked; nothing was signed. See `congvan check`.",
        )
    vi, en = _WHY[facts.state]
    return Said(
        f"Chứng thư ký của {facts.holder} {vi}; chưa ký gì. Nhờ cán bộ CNTT cấp lại (`congvan agency key renew`).",
        f"The certificate of {facts.holder} {en}; nothing was signed. Have your officer renew it (`congvan agency key renew`).",
    )


@certificate_rule(
    "R-SIG-21",
    "Chứng thư sắp hết hạn (30 ngày) hoặc đã bị thu hồi được báo cho người giữ và quản trị.",
    "A certificate that ends within 30 days, or is revoked, is reported to its holder and the administrator.",
    bases=(OWN,),
    parameters={"days": 30},
    periodic="warn",
)
def ends_soon(facts: CertificateFacts, parameters: Parameters) -> Said | None:
    """Said where the holder signs, where clerks issue, and by `congvan check`. Days that are not known say nothing."""
    if facts.state == "revoked":
        return Said(
            f"Chứng thư ký ({facts.holder}) đã bị thu hồi nên không ký được. Nhờ cán bộ CNTT của cơ quan cấp lại.",
            f"The signing certificate ({facts.holder}) was revoked, so nothing can be signed. Have your officer issue a new one.",
        )
    days = facts.days_left
    if days is None or days > parameters["days"]:
        return None
    if days < 0:
        return Said(
            f"Chứng thư ký ({facts.holder}) đã hết hạn nên không ký được. Nhờ cán bộ CNTT của cơ quan gia hạn.",
            f"The signing certificate ({facts.holder}) has ended, so nothing can be signed. Have your officer renew it.",
        )
    return Said(
        f"Chứng thư ký ({facts.holder}) còn {days} ngày. Nhờ cán bộ CNTT của cơ quan gia hạn trước khi hết hạn.",
        f"The signing certificate ({facts.holder}) ends in {days} day{'' if days == 1 else 's'}. Have your officer renew it before.",
    )
