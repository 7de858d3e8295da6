# SPDX-License-Identifier: AGPL-3.0-or-later
"""Trust as data: which roots are trusted from when to when, and which certificates an agency elsewhere may use.

``lists.toml`` beside the certificates; a root that no list names is the installation's own and always trusted::

    [[list]]
    name = "Chứng thực chuyên dùng Chính phủ"
    kind = "government"                 # or "public", "installation"
    roots = ["roots/gov.pem"]
    from = 2024-07-01T00:00:00Z         # judged as of the time of signing; a list that ends keeps old signatures
    until = 2034-07-01T00:00:00Z

    [[pin]]                             # with one pin for a code, only pinned certificates seal for it
    code = "H30.01"
    sha256 = "…"                        # of the certificate (DER)
    from = 2026-12-01T00:00:00Z         # a roll-over announced in advance

``pins.toml`` holds the pins that ``congvan agency pin`` wrote, in the same form, and OpenPGP keys of agencies that have
no certificates: ``[[openpgp]]`` with ``code``, ``fingerprint`` (of the primary key), ``from``, ``until``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from exchange.trust.anchors import TrustUnreadable
from exchange.trust.verdict import Authority

KINDS: tuple[Authority, ...] = get_args(Authority)
PINS = "pins.toml"


@dataclass(frozen=True, slots=True)
class TrustList:
    """Roots (file names below the trust folder) with their time; ``None``: open."""

    name: str
    kind: Authority
    roots: tuple[str, ...]
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Pin:
    """A certificate that an agency may use, by SHA-256 (hex)."""

    code: str
    sha256: str
    since: datetime | None
    until: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether it counts at that moment."""
        return (self.since is None or self.since <= at) and (self.until is None or at <= self.until)


@dataclass(frozen=True, slots=True)
class OpenPgpPin(Pin):
    """An OpenPGP key that an agency without certificates seals with; ``sha256`` is its fingerprint (upper case)."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What ``lists.toml`` says."""

    lists: tuple[TrustList, ...] = ()
    pins: tuple[Pin, ...] = ()
    openpgp: tuple[OpenPgpPin, ...] = ()

    def openpgp_of(self, code: str, at: datetime) -> str:
        """The fingerprint of the key to seal to ``code`` with: the one that holds since the latest day; "" none."""
        holding = [one for one in self.openpgp if one.code == code and one.holds(at)]
        newest = max(holding, key=lambda one: one.since.timestamp() if one.since else 0.0, default=None)
        return newest.sha256 if newest is not None else ""

    def codes_of(self, fingerprint: str) -> list[OpenPgpPin]:
        """The pins of a key, whether they hold now or not."""
        return [one for one in self.openpgp if one.sha256 == fingerprint]

    def pinned(self, code: str, certificate: x509.Certificate, at: datetime) -> bool:
        """Whether ``certificate`` may seal for ``code``; without a pin for the code its chain alone decides."""
        own = [one for one in self.pins if one.code == code]
        digest = certificate.fingerprint(hashes.SHA256()).hex()
        return not own or any(one.sha256 == digest and one.holds(at) for one in own)


def read_pins(path: Path) -> list[Pin]:
    """All pins of ``pins.toml``, which `exchange.trust.pins` writes. Raises `TrustUnreadable`."""
    found = read_lists(path)
    return [*found.pins, *found.openpgp]


def read_lists(path: Path) -> Lists:
    """The file's lists and pins; none when there is no file. Raises `TrustUnreadable` for one that is wrong."""
    if not path.is_file():
        return Lists()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        lists = tuple(_list(one) for one in told.pop("list", []))
        pins = tuple(_pin(one) for one in told.pop("pin", []))
        openpgp = tuple(_openpgp(one) for one in told.pop("openpgp", []))
        if told:
            raise ValueError(f"unknown: {', '.join(told)}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise TrustUnreadable(
            path.name, f"sai nội dung ({problem})", f"its content is wrong ({problem})"
        ) from None
    return Lists(lists, pins, openpgp)


def _list(told: Mapping[str, Any]) -> TrustList:
    if told["kind"] not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}")
    return TrustList(
        str(told["name"]),
        told["kind"],
        tuple(map(str, told["roots"])),
        _time(told, "from"),
        _time(told, "until"),
    )


def _pin(told: Mapping[str, Any]) -> Pin:
    digest = str(told["sha256"]).lower().replace(":", "")
    if len(bytes.fromhex(digest)) != 32:
        raise ValueError("sha256 has 64 hexadecimal digits")
    return Pin(str(told["code"]), digest, _time(told, "from"), _time(told, "until"))


def _openpgp(told: Mapping[str, Any]) -> OpenPgpPin:
    fingerprint = str(told["fingerprint"]).upper().replace(" ", "")
    if len(bytes.fromhex(fingerprint)) not in (20, 32):
        raise ValueError("a fingerprint has 40 or 64 hexadecimal digits")
    return OpenPgpPin(str(told["code"]), fingerprint, _time(told, "from"), _time(told, "until"))


def _time(told: Mapping[str, Any], name: str) -> datetime | None:
    value = told.get(name)
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise ValueError(f"{name} is a date with a time")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
