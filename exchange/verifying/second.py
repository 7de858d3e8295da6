# SPDX-License-Identifier: AGPL-3.0-or-later
"""The second validator's word on a CMS signature that ours has judged (`trust.second_validator`)."""

from __future__ import annotations

from dataclasses import replace

from exchange.sealing.judging import CLOCK_SKEW, Judging
from exchange.sealing.packet import OpenedPacket
from exchange.sealing.signed import CmsJudgement
from exchange.trust.verdict import worst

MAX_BYTES = 60_000_000
"""Contents above this are judged by ours alone: pyHanko wants all of it in memory."""


def heard(judgement: CmsJudgement, data: bytes, content: bytes | None, judging: Judging) -> CmsJudgement:
    """The judgement with pyHanko's answer beside it; one signer only, as pyHanko reads no more."""
    if len(judgement.signatures) != 1 or judgement.certificate is None or len(data) > MAX_BYTES:
        return judgement
    from exchange.trust.second_validator import (
        compared,
        pyhanko_on_cms,
    )  # pyHanko takes half a second to load

    claimed = judgement.signing_time
    if claimed is not None and claimed > judging.moment(None) + CLOCK_SKEW:
        claimed = None
    opinion = pyhanko_on_cms(data, content, judging.anchors, judging.moment(claimed))
    line = compared(judgement.signatures[0], [opinion])
    outcome = worst((line.verdict,))
    return replace(judgement, outcome=outcome, sub_indication=line.sub_indication, signatures=(line,))


def heard_on_packet(opened: OpenedPacket, judging: Judging) -> OpenedPacket:
    """The same for the organisation's signature on a packet."""
    return replace(opened, signature=heard(opened.signature, opened.cms, opened.signed_part, judging))
