# SPDX-License-Identifier: AGPL-3.0-or-later
"""The legal columns of both registers, in their order (ND30/2020 App. IV.I and IV.VI: at least these ten)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.registers.numbers import Register


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key in data, its heading in Vietnamese, and in English."""

    key: str
    vi: str
    en: str


OUTGOING = (
    Column("number", "Số, ký hiệu văn bản", "Number and notation"),
    Column("date", "Ngày tháng văn bản", "Date of the document"),
    Column("subject", "Tên loại và trích yếu nội dung văn bản", "Kind and abstract"),
    Column("signer", "Người ký", "Signer"),
    Column("recipients", "Nơi nhận văn bản", "Recipients"),
    Column("file_copy", "Đơn vị, người nhận bản lưu", "Unit or person that keeps the file copy"),
    Column("copies", "Số lượng bản", "Number of copies"),
    Column("sent_on", "Ngày chuyển", "Date sent"),
    Column("acknowledged", "Ký nhận", "Acknowledged"),
    Column("note", "Ghi chú", "Note"),
)
"""Sổ đăng ký văn bản đi (ND30/2020 App. IV.I)."""

INCOMING = (
    Column("arrived_on", "Ngày đến", "Date of arrival"),
    Column("arrival_number", "Số đến", "Arrival number"),
    Column("author", "Tác giả", "Author"),
    Column("number", "Số, ký hiệu văn bản", "Number and notation"),
    Column("date", "Ngày tháng văn bản", "Date of the document"),
    Column("subject", "Tên loại và trích yếu nội dung văn bản", "Kind and abstract"),
    Column("handler", "Đơn vị hoặc người nhận", "Unit or person that receives it"),
    Column("handed_on", "Ngày chuyển", "Date handed over"),
    Column("acknowledged", "Ký nhận", "Acknowledged"),
    Column("note", "Ghi chú", "Note"),
)
"""Sổ đăng ký văn bản đến (ND30/2020 App. IV.VI)."""

TITLES = {
    "outgoing": ("SỔ ĐĂNG KÝ VĂN BẢN ĐI", "Register of outgoing documents"),
    "incoming": ("SỔ ĐĂNG KÝ VĂN BẢN ĐẾN", "Register of incoming documents"),
}


def columns_of(register: Register) -> tuple[Column, ...]:
    """The columns of a register."""
    return OUTGOING if register == "outgoing" else INCOMING


def complete(register: Register, values: Mapping[str, str]) -> dict[str, str]:
    """``values`` with every legal column there, in order, blank when not known (R-REG-03, R-REG-04).

    Raises `KeyError` for a column the register does not have.
    """
    known = {one.key for one in columns_of(register)}
    if stray := set(values) - known:
        raise KeyError(f"not a column of the register: {sorted(stray)}")
    return {one.key: values.get(one.key, "") for one in columns_of(register)}
