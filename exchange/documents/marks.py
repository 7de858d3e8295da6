# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a signature and a seal look like here: the pictures that were installed, else drawn ones.

``data/marks/people/<address>.png`` and ``data/marks/agencies/<code>.png`` with ``<code>.mm``, the diameter of
the real seal in millimetres (`congvan agency key picture`).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from config.durable import write_durably
from config.refusal import Refused
from exchange.exchange import Exchange
from exchange.signing.pdf.layout import MM, SEAL
from exchange.signing.pdf.marks import Mark, hand_signature, pen_stroke, round_seal, seal_picture
from exchange.signing.pdf.picture import MAX_BYTES, picture
from mailserver.accounts import Agency

_LEAST_MM, _MOST_MM = 20.0, 60.0


def hand(exchange: Exchange, address: str, name: str) -> Mark:
    """The mark of a person's signature."""
    found = _read(_folder(exchange) / "people" / f"{_safe(address.lower())}.png")
    return hand_signature(picture(found, "blue")) if found else pen_stroke(name)


def seal(exchange: Exchange, agency: Agency) -> Mark:
    """The mark of an agency's seal."""
    found = _read(_folder(exchange) / "agencies" / f"{_safe(agency.code)}.png")
    return seal_picture(picture(found, "red")) if found else round_seal(agency.name)


def diameter(exchange: Exchange, agency: Agency) -> float:
    """Of the real seal, in points; 36 mm when nobody said."""
    told = _read(_folder(exchange) / "agencies" / f"{_safe(agency.code)}.mm")
    return float(told) * MM if told else SEAL


def install_hand(exchange: Exchange, address: str, data: bytes) -> None:
    """Keep the picture of a person's hand signature. Raises `Refused` (``picture-…``)."""
    picture(data, "blue")
    _write(_folder(exchange) / "people" / f"{_safe(address.lower())}.png", data)


def install_seal(exchange: Exchange, agency: Agency, data: bytes, millimetres: float) -> None:
    """Keep the picture of an agency's seal and its real diameter. Raises `Refused`."""
    if not _LEAST_MM <= millimetres <= _MOST_MM:
        raise Refused(
            "seal-size",
            f"Đường kính con dấu phải từ {_LEAST_MM:g} đến {_MOST_MM:g} mm.",
            f"A seal's diameter must be {_LEAST_MM:g} to {_MOST_MM:g} mm.",
        )
    picture(data, "red")
    folder = _folder(exchange) / "agencies"
    _write(folder / f"{_safe(agency.code)}.mm", f"{millimetres:.1f}".encode())
    _write(folder / f"{_safe(agency.code)}.png", data)


def _folder(exchange: Exchange) -> Path:
    return exchange.settings.data_dir / "marks"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return b""


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, data)


def _safe(name: str) -> str:
    quoted = quote(name, safe="@+")
    return quoted.replace(".", "%2E", 1) if quoted.startswith(".") else quoted
