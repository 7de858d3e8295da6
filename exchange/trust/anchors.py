# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whom we trust: roots, intermediate certificates and revocation lists, from PEM or DER files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509 import ocsp

from config.refusal import Refused
from exchange.trust.verdict import Authority

MAX_FILE = 20 * 1024 * 1024
MAX_ITEMS = 2000
_PEM = re.compile(
    rb"-----BEGIN (CERTIFICATE|TRUSTED CERTIFICATE|X509 CRL)-----\s.{1,8388608}?-----END \1-----", re.DOTALL
)


class TrustUnreadable(Refused):
    """A certificate or revocation list can't be read."""

    def __init__(self, what: str, vi: str, en: str) -> None:
        super().__init__("trust-unreadable", f"{what}: {vi}", f"{what}: {en}")


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when a root is trusted (``None``: open), by a trust list of ``kind``."""

    root: x509.Certificate
    since: datetime | None
    until: datetime | None
    kind: Authority = "installation"


@dataclass(frozen=True, slots=True)
class Anchors:
    """What a chain is judged against. ``roots`` are trusted as they are, ``intermediates`` only help."""

    roots: tuple[x509.Certificate, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = field(default=())
    ocsps: tuple[ocsp.OCSPResponse, ...] = field(default=())
    periods: tuple[Period, ...] = ()

    def trusts(self, root: x509.Certificate, at: datetime) -> bool:
        """Whether ``root`` was trusted at that moment: by one of the lists that name it, or named by none."""
        own = [one for one in self.periods if one.root == root]
        return not own or any(
            (one.since is None or one.since <= at) and (one.until is None or at <= one.until) for one in own
        )

    def kind_of(self, root: x509.Certificate) -> Authority:
        """Whose authority ``root`` is, by the lists that name it; one that no list names is the installation's."""
        named = {one.kind for one in self.periods if one.root == root}
        return next(
            (kind for kind in ("government", "installation", "public") if kind in named), "installation"
        )

    @classmethod
    def load(
        cls,
        roots: Iterable[Path | str] = (),
        intermediates: Iterable[Path | str] = (),
        crls: Iterable[Path | str] = (),
    ) -> Anchors:
        """Reads PEM or DER files, each with one or many items. Raises `TrustUnreadable`."""
        return cls(
            tuple(one for path in roots for one in read_certificates(_bytes_of(path), str(path))),
            tuple(one for path in intermediates for one in read_certificates(_bytes_of(path), str(path))),
            tuple(one for path in crls for one in read_crls(_bytes_of(path), str(path))),
        )

    def adding(
        self,
        intermediates: Iterable[x509.Certificate] = (),
        crls: Iterable[x509.CertificateRevocationList] = (),
        ocsps: Iterable[ocsp.OCSPResponse] = (),
    ) -> Anchors:
        """The same roots with more helpers (what a file carries)."""
        return Anchors(
            self.roots,
            (*self.intermediates, *intermediates),
            (*self.crls, *crls),
            (*self.ocsps, *ocsps),
            self.periods,
        )


def read_certificates(data: bytes, what: str = "certificate") -> list[x509.Certificate]:
    """The certificates of PEM text (also with keys and text around) or of one DER file."""
    blocks = _blocks(data, what, (b"CERTIFICATE", b"TRUSTED CERTIFICATE"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if blocks is None:
                return [x509.load_der_x509_certificate(data)]
            return [x509.load_pem_x509_certificate(one) for one in blocks]
    except ValueError:
        raise TrustUnreadable(
            what, "không phải chứng thư X.509 (PEM hoặc DER)", "not an X.509 certificate (PEM or DER)"
        ) from None


def read_crls(data: bytes, what: str = "CRL") -> list[x509.CertificateRevocationList]:
    """The revocation lists of PEM text or of one DER file."""
    blocks = _blocks(data, what, (b"X509 CRL",))
    try:
        if blocks is None:
            return [x509.load_der_x509_crl(data)]
        return [x509.load_pem_x509_crl(one) for one in blocks]
    except ValueError:
        raise TrustUnreadable(
            what, "không phải danh sách thu hồi (PEM hoặc DER)", "not a revocation list (PEM or DER)"
        ) from None


def _blocks(data: bytes, what: str, labels: tuple[bytes, ...]) -> list[bytes] | None:
    """The PEM blocks with one of ``labels``; None when the data is not PEM."""
    if len(data) > MAX_FILE:
        raise TrustUnreadable(what, "tệp quá lớn (tối đa 20 MB)", "the file is too large (20 MB at most)")
    if b"-----BEGIN" not in data:
        return None
    found = [match.group(0) for match in _PEM.finditer(data) if match.group(1) in labels]
    if not found:
        raise TrustUnreadable(
            what,
            f"không có khối PEM {labels[0].decode()}",
            f"holds no PEM block {labels[0].decode()}",
        )
    if len(found) > MAX_ITEMS:
        raise TrustUnreadable(what, "quá nhiều mục trong một tệp", "too many items in one file")
    return found


def _bytes_of(path: Path | str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as problem:
        reason = problem.strerror or "?"
        raise TrustUnreadable(
            str(path), f"không mở được tệp ({reason})", f"the file can't be opened ({reason})"
        ) from None
