# SPDX-License-Identifier: AGPL-3.0-or-later
"""All rules, one small function each, grouped in files as the regulation is grouped."""

from __future__ import annotations

from policy.rule import RULES
from policy.rules import (
    certificates,
    incoming_mail,
    issuing,
    metadata,
    numbering,
    official_mail,
    receiving,
    registers,
    secrecy,
    signatures,
)

__all__ = [
    "RULES",
    "certificates",
    "incoming_mail",
    "issuing",
    "metadata",
    "numbering",
    "official_mail",
    "receiving",
    "registers",
    "secrecy",
    "signatures",
]
