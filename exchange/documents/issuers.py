# SPDX-License-Identifier: AGPL-3.0-or-later
"""The agencies that issue a document: the one whose number it bears, then those that issue it jointly (liên tịch)."""

from __future__ import annotations

from exchange.documents.model import Fields
from exchange.exchange import Exchange

_LONGEST = 500
"""Content in the packet (law/edxml.md 1.7)."""


def issuers(exchange: Exchange, fields: Fields) -> list[str]:
    """Their names, the issuing agency first; the code of one that is not known here."""
    others = [one.name if (one := exchange.accounts.agency(code)) else code for code in fields.joint_codes]
    return [fields.organ_name, *others]


def joint_note(exchange: Exchange, fields: Fields) -> str:
    """``Văn bản liên tịch với …``, "" when one agency issues it."""
    others = issuers(exchange, fields)[1:]
    return f"Văn bản liên tịch với {'; '.join(others)}" if others else ""


def content_of(exchange: Exchange, fields: Fields) -> str:
    """What edXML's Content says. The format names one sender and one signer (`From`, `SignerInfo`), so the others stand
    here in words for programs elsewhere; a receiver of ours takes them from the seals (`exchange.documents.facts`).
    """
    note = joint_note(exchange, fields)
    if not note:
        return fields.subject
    whole = f"{fields.subject} ({note})"
    return whole if len(whole) <= _LONGEST else fields.subject
