# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on a PDF, whose machinery is loaded only when there is one (it takes longer than a receipt)."""

from __future__ import annotations

from exchange.sealing.judging import Judging
from exchange.trust.verdict import Verdict


def verify_pdf(data: bytes, judging: Judging) -> Verdict:
    """`trust.pdf_judge.judge_pdf` with the same anchors and moment as everything else."""
    from exchange.trust.pdf_judge import judge_pdf

    return judge_pdf(data, judging.anchors, judging.require_revocation, judging.proved_at or judging.now)
