# SPDX-License-Identifier: AGPL-3.0-or-later
"""A time-stamp token on its own, over a digest that is known (RFC 3161; DESIGN 4.13: the late stamp)."""

from __future__ import annotations

from asn1crypto import cms

from exchange.trust.anchors import Anchors
from exchange.trust.cms_signature import READING, judge_token
from exchange.trust.verdict import FAILED, SignatureVerdict

MAX_TOKEN = 64 * 1024


def judge_late_stamp(
    token: bytes, digest: bytes, anchors: Anchors, require: bool = False
) -> SignatureVerdict:
    """The verdict on ``token`` (DER ContentInfo) over the SHA-256 ``digest``."""
    broken = SignatureVerdict(
        signer="",
        organisation="",
        role="timestamp",
        time="",
        verdict=FAILED,
        sub_indication="TIMESTAMP_INVALID",
    )
    if len(token) > MAX_TOKEN:
        return broken
    try:
        content = cms.ContentInfo.load(token, strict=True)
        if content["content_type"].native != "signed_data":
            return broken
        return judge_token(
            content["content"], None, anchors, require, True, digests={"sha256": digest}
        ).verdict
    except READING:
        return broken
