# SPDX-License-Identifier: AGPL-3.0-or-later
"""What was found out about a message at the door: kept beside it, sealed, and shown to who reads it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from mailserver.senderauth.dmarc import DmarcResult, Policy

Scan: TypeAlias = Literal["clean", "malware", "not-scanned"]
Why: TypeAlias = Literal["", "dmarc", "spam"]


@dataclass(frozen=True, slots=True)
class Note:
    """A rule that warned: its id and words."""

    rule: str
    vi: str
    en: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sender``: ``proved``, ``unproved`` (asked, nothing proves it), ``failed`` (DMARC says it is not), or
    ``not-checked`` (from a network of ours, or the DNS is not asked). ``spam`` is a probability, None when the
    filter was not asked or knows too little. ``junk``: it goes to Thư rác, and why.
    """

    sender: Literal["proved", "unproved", "failed", "not-checked"] = "not-checked"
    author: str = ""
    spf: str = "none"
    spf_domain: str = ""
    dkim: tuple[str, ...] = ()
    dmarc: DmarcResult = "none"
    policy: Policy = "none"
    odd_label: str = ""
    spam: float | None = None
    junk: Why = ""
    scan: Scan = "not-scanned"
    malware: str = ""
    notes: tuple[Note, ...] = ()

    def pack(self) -> bytes:
        """Bytes for storing; `unpack` reads them."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    @classmethod
    def unpack(cls, packed: bytes) -> Verdict:
        """The verdict of `pack`ed bytes. Raises ValueError or TypeError when they are not."""
        raw = json.loads(packed)
        raw["dkim"] = tuple(raw["dkim"])
        raw["notes"] = tuple(Note(**one) for one in raw["notes"])
        return cls(**raw)
