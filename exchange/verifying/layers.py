# SPDX-License-Identifier: AGPL-3.0-or-later
"""Several verdicts on the layers of one file, made into one."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, UNREADABLE, UNSIGNED, Outcome, Verdict

Layer = tuple[str, Verdict]
"""The name of a layer (as a person knows it) and the verdict on it."""

_DECISIVE: tuple[Outcome, ...] = (FAILED, UNREADABLE, UNSIGNED, INDETERMINATE, PASSED)


def decisive(layers: Sequence[Layer]) -> tuple[Outcome, str, str]:
    """(outcome, reason, sub-indication) of the first layer with the gravest outcome: failed counts most."""
    for outcome in _DECISIVE:
        for name, verdict in layers:
            if verdict.verdict == outcome:
                reason = "" if outcome == PASSED else f"{name}: {verdict.reason}".removesuffix(": ")
                return outcome, reason, verdict.sub_indication
    return PASSED, "", ""
