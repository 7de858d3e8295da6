# SPDX-License-Identifier: AGPL-3.0-or-later
"""What kind of file it is, by content first and by name where the content leaves it open."""

from __future__ import annotations

import re
from typing import Literal

from exchange.receipts.evidence import is_evidence
from exchange.receipts.receipt import SUFFIX
from exchange.sealing.packet_form import is_packet
from exchange.verifying.cms import is_cms
from exchange.verifying.openpgp import is_openpgp

Kind = Literal["pdf", "mail", "packet", "edxml", "receipt", "evidence", "cms", "openpgp", "report", "garbage"]

_HEADER = re.compile(rb"(?:From [^\r\n]*\r?\n)?[A-Za-z][A-Za-z0-9-]{1,60}:[ \t\r\n]")
_SUFFIXES: tuple[tuple[str, Kind], ...] = (
    (".pdf", "pdf"),
    (".edxml", "edxml"),
    (SUFFIX, "receipt"),
    (".eml", "mail"),
    (".evidence", "evidence"),
)


def kind_of(data: bytes, name: str = "") -> Kind:
    """The kind; ``garbage`` when neither content nor name says."""
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"%PDF-" in head:
        return "pdf"
    if is_evidence(data):
        return "evidence"
    if is_cms(data[:64]):
        return "cms"
    if is_openpgp(data[:200]):
        return "openpgp"
    if head.startswith(b"{") and b'"congvan_receipt"' in data[:200_000]:
        return "receipt"
    if head.startswith(b'{"congvan_report"'):
        return "report"
    if head.startswith(b"<") and b"edXML" in data[:4096]:
        return "edxml"
    by_name: Kind = next((kind for suffix, kind in _SUFFIXES if name.lower().endswith(suffix)), "garbage")
    if by_name in {"garbage", "mail"}:
        if _HEADER.match(data):
            top = data[:65_536].replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
            return "packet" if is_packet(top) else "mail"
        if head.startswith(b"<?xml"):
            return "edxml"
    return by_name


def unreadable_kind(kind: Kind) -> str:
    """The kind named in the verdict on a file that nothing can be made of."""
    return "mail" if kind == "garbage" else kind
