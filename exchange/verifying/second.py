# SPDX-License-Identifier: AGPL-3.0-or-later
"""The second validator's word on a CMS signature that ours has judged (`trust.second_validator`)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from exchange.sealing.judging import CLOCK_SKEW, Judging
from exchange.sealing.packet import OpenedPacket
from exchange.sealing.signed import CmsJudgement
from exchange.trust.verdict import SignatureVerdict, worst


def heard(judgement: CmsJudgement, judging: Judging) -> CmsJudgement:
    """The judgement with pyHanko's answer beside each signer's line.

    It gets the signer information and digests that ours computed on the way, so a content of any size costs nothing more.
    """
    if not judgement.infos or judgement.over is None:
        return judgement
    from exchange.trust.second_validator import (
        compared,
        pyhanko_on_signer,
    )  # pyHanko takes half a second to load

    lines = tuple(
        compared(
            line,
            [
                pyhanko_on_signer(
                    info,
                    judgement.over.kind,
                    judgement.over.digests,
                    [line.certificate, *judgement.carried],
                    judging.anchors,
                    judging.moment(_claimed(line, judging)),
                )
            ],
        )
        if line.certificate
        else line
        for info, line in zip(judgement.infos, judgement.signatures, strict=True)
    )
    outcome = worst(one.verdict for one in lines)
    sub = next((one.sub_indication for one in lines if one.verdict == outcome), "")
    return replace(judgement, outcome=outcome, sub_indication=sub, signatures=lines)


def _claimed(line: SignatureVerdict, judging: Judging) -> datetime | None:
    """The moment that the signer claims, when it is not from the future."""
    claimed = datetime.fromisoformat(line.time) if line.time else None
    if claimed is not None and claimed > judging.moment(None) + CLOCK_SKEW:
        return None
    return claimed


def heard_on_packet(opened: OpenedPacket, judging: Judging) -> OpenedPacket:
    """The same for the organisation's signature on a packet."""
    return replace(opened, signature=heard(opened.signature, judging))
