# SPDX-License-Identifier: AGPL-3.0-or-later
"""Certificates of agencies elsewhere: pinned, rolled over as announced, taken away (``pins.toml`` beside ``lists.toml``).

With one pin for a code only pinned certificates seal for it. A roll-over is announced by a second pin that holds from
a day on; the pin before it may be given an end. A file may also hold the certificate to encrypt to the agency with,
which is published beside it. Only certificates whose chain stands are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from config.durable import write_durably
from config.refusal import Refused
from exchange.edxml.codes import to_new_code
from exchange.trust.anchors import read_certificates
from exchange.trust.chain import validate_chain
from exchange.trust.directory import TrustDirectory
from exchange.trust.lists import PINS, OpenPgpPin, Pin, read_pins
from exchange.trust.subject import subject_of
from exchange.trust.verdict import PASSED

_MOST = 5_000


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a file brought: the pins added, and whether it held a certificate to encrypt with."""

    pins: tuple[Pin, ...]
    encryption: bool


def pin(
    trust: TrustDirectory,
    code: str,
    data: bytes,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Pinned:
    """Pin the signing certificates in ``data`` (PEM or DER) for ``code``. Raises `Refused`."""
    _must_be_in_order(since, until)
    own = [one for one in read_certificates(data, code) if subject_of(one).role == "organisation"]
    at = max(since or datetime.now(UTC), datetime.now(UTC))
    pins, encryption = [], None
    for one in own:
        _must_fit(trust, code, one, at)
        if validate_chain(one, own, trust.anchors(), at, usage="sign").status == PASSED:
            digest = one.fingerprint(hashes.SHA256()).hex()
            pins.append(Pin(code, digest, since, until))
        else:
            encryption = one
    if not pins and encryption is None:
        raise Refused(
            "no-certificate",
            "Tệp không có chứng thư của cơ quan.",
            "The file holds no certificate of an agency.",
        )
    named = {(one.code, one.sha256) for one in pins}
    kept = [one for one in read_pins(trust.path / PINS) if (one.code, one.sha256) not in named]
    _write(trust, [*kept, *pins])
    if encryption is not None:
        trust.put_encryption(code, [encryption])
    return Pinned(tuple(pins), encryption is not None)


def unpin(trust: TrustDirectory, code: str, sha256: str) -> int:
    """Take away the pins of ``code`` whose digest begins with ``sha256`` (at least 8 digits); how many. Raises `Refused`."""
    every = read_pins(trust.path / PINS)
    start = sha256.lower().replace(":", "").replace(" ", "")
    gone = [
        one for one in every if one.code == code and len(start) >= 8 and one.sha256.lower().startswith(start)
    ]
    if not gone:
        raise Refused(
            "no-such-pin",
            f"{code} không có chứng thư ghim {sha256[:80]}.",
            f"{code} has no pin {sha256[:80]}.",
        )
    _write(trust, [one for one in every if one not in gone])
    for one in gone:
        if isinstance(one, OpenPgpPin):
            trust.drop_partner(code, one.sha256)
    return len(gone)


def pin_openpgp(
    trust: TrustDirectory,
    code: str,
    armour: bytes,
    fingerprint: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> OpenPgpPin:
    """Pin the OpenPGP key with this primary ``fingerprint`` for ``code``; ``armour`` holds it alone. Raises `Refused`."""
    _must_be_in_order(since, until)
    taken = [
        one.code
        for one in read_pins(trust.path / PINS)
        if isinstance(one, OpenPgpPin) and one.sha256 == fingerprint and one.code != code
    ]
    if taken:
        raise Refused(
            "key-of-another",
            f"Khóa này đã ghim cho {taken[0]}; mỗi khóa chỉ là của một cơ quan.",
            f"This key is pinned for {taken[0]}; a key is of one agency only.",
        )
    made = OpenPgpPin(code, fingerprint, since, until)
    every = read_pins(trust.path / PINS)
    kept = [one for one in every if (one.code, one.sha256) != (code, fingerprint)]
    trust.put_partner(code, fingerprint, armour)
    _write(trust, [*kept, made])
    return made


def _must_be_in_order(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and until <= since:
        raise Refused("bad-time", "Thời điểm kết thúc trước khi bắt đầu.", "It ends before it begins.")


def _must_fit(trust: TrustDirectory, code: str, certificate: x509.Certificate, at: datetime) -> None:
    said = subject_of(certificate).code
    if said and to_new_code(said) != to_new_code(code):
        raise Refused(
            "other-agency",
            f"Chứng thư là của {said}, không phải của {code}.",
            f"The certificate is of {said}, not of {code}.",
        )
    result = validate_chain(certificate, (), trust.anchors(), at, usage="any")
    if result.status != PASSED:
        raise Refused(
            "certificate-not-trusted",
            f"Chứng thư không nối được tới gốc tin cậy ({result.sub_indication}); thêm gốc vào trust/roots trước.",
            f"The certificate hangs on no trusted root ({result.sub_indication}); add its root to trust/roots first.",
        )


def _write(trust: TrustDirectory, pins: Sequence[Pin]) -> None:
    if len(pins) > _MOST:
        raise Refused("too-many-pins", f"Quá {_MOST} chứng thư ghim.", f"More than {_MOST} pins.")
    blocks = []
    for one in pins:
        openpgp = isinstance(one, OpenPgpPin)
        table, name = ("openpgp", "fingerprint") if openpgp else ("pin", "sha256")
        lines = [f"[[{table}]]", f'code = "{one.code}"', f'{name} = "{one.sha256}"']
        lines += [f"from = {one.since.isoformat()}"] if one.since else []
        lines += [f"until = {one.until.isoformat()}"] if one.until else []
        blocks.append("\n".join(lines) + "\n")
    write_durably(trust.path / PINS, "\n".join(blocks).encode())
