# SPDX-License-Identifier: AGPL-3.0-or-later
"""Instruments of law, what a rule rests on, and how sure that is.

A *read* basis was read in the instrument's text and is shown with its article; an *unconfirmed* one is shown with
its instrument and "căn cứ chưa đối chiếu", never with an article; an *own* one is "quy tắc của hệ thống".
An instrument that has ended is not cited for acts from that day on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["read", "unconfirmed", "own"]
OWN_WORDS = "quy tắc của hệ thống"
UNCONFIRMED_WORDS = "căn cứ chưa đối chiếu"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument; from `ended` on `successor` stands in its place, unconfirmed and without article."""

    name: str
    ended: date | None = None
    successor: str | None = None
    doubtful_since: date | None = None
    "From this day on it counts as unconfirmed: the law it was made under has ended."


@dataclass(frozen=True, slots=True)
class Basis:
    """What a rule rests on: an instrument and an article, or nothing but our own reasoning."""

    status: Status
    instrument: Instrument | None = None
    article: str = ""

    def on(self, day: date) -> tuple[str, Status]:
        """The words and the status of this basis for an act of `day`."""
        instrument = self.instrument
        if instrument is None:
            return OWN_WORDS, "own"
        if instrument.ended is not None and day >= instrument.ended:
            if instrument.successor is None:
                return OWN_WORDS, "own"
            return f"{instrument.successor} ({UNCONFIRMED_WORDS})", "unconfirmed"
        doubtful = instrument.doubtful_since is not None and day >= instrument.doubtful_since
        if self.status == "unconfirmed" or doubtful:
            return f"{instrument.name} ({UNCONFIRMED_WORDS})", "unconfirmed"
        return f"{instrument.name}, {self.article}" if self.article else instrument.name, "read"


_SECRETS_LAW_END = date(2026, 3, 1)
_CIRCULAR_41_END = date(2026, 11, 15)

D30 = Instrument("Nghị định 30/2020/NĐ-CP")
QD28 = Instrument("Quyết định 28/2018/QĐ-TTg")
QD20 = Instrument("Quyết định 20/2020/QĐ-TTg")
L29 = Instrument(
    "Luật Bảo vệ bí mật nhà nước 29/2018/QH14", _SECRETS_LAW_END, "Luật Bảo vệ bí mật nhà nước 117/2025/QH15"
)
TT41 = Instrument(
    "Thông tư 41/2017/TT-BTTTT", _CIRCULAR_41_END, "Luật Giao dịch điện tử 20/2023/QH15 và các nghị định"
)
D23 = Instrument("Nghị định 23/2025/NĐ-CP")
QCVN = Instrument("QCVN 102:2016/BTTTT")
CM24 = Instrument("Quyết định 24/2018/QĐ-UBND tỉnh Cà Mau")
CT34 = Instrument("Chỉ thị 34/2008/CT-TTg")
D91 = Instrument("Nghị định 91/2020/NĐ-CP")
CRYPTO = Instrument("Danh mục tiêu chuẩn, quy chuẩn mật mã quốc gia")

OWN = Basis("own")


def read(instrument: Instrument, article: str) -> Basis:
    """A basis whose text was read."""
    return Basis("read", instrument, article)


def unconfirmed(instrument: Instrument) -> Basis:
    """A basis from memory, a secondary page or samples."""
    return Basis("unconfirmed", instrument)


def shown(bases: tuple[Basis, ...], day: date) -> tuple[str, Status]:
    """All bases of a rule as one text, each with its own status; the status is that of the weakest."""
    parts: list[str] = []
    weakest: Status = "read"
    order: dict[Status, int] = {"read": 0, "unconfirmed": 1, "own": 2}
    for basis in bases:
        words, status = basis.on(day)
        if words not in parts:
            parts.append(words)
        if order[status] > order[weakest]:
            weakest = status
    return "; ".join(parts), weakest
