# SPDX-License-Identifier: AGPL-3.0-or-later
"""Words on revocation from the authorities that certificates name: OCSP, else the list (RFC 5280 §4.2.1.13, §4.2.2.1).

Judging never fetches. On receipt, and before judging anew, words that are missing are fetched: what came is checked, kept in the
trust folder (``ocsp``, ``crls``) and is there offline from then on; what was asked about is noted (``asked``) so that the worker renews it
(`exchange.trust.refreshing`). Only addresses in certificates that hang on a trusted root are asked, in bounded time and
size; one that failed is passed over for a minute, then for twice as long each time, up to an hour.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeAlias
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from config.durable import write_durably
from config.refusal import Refused
from exchange.trust.anchors import read_crls
from exchange.trust.asking import ask
from exchange.trust.chain import validate_chain
from exchange.trust.directory import TrustDirectory
from exchange.trust.ocsp import ocsp_status, read_response
from exchange.trust.revocation import Status, status_of

log = logging.getLogger("congvan.trust")
SECONDS = 5.0
ASKED = "asked"
"""Folder of certificates about which words were fetched, PEM with what leads to a root."""
MAX_CRL = 10 * 1024 * 1024
MAX_OCSP = 64 * 1024
_MOST = 20
_ADDRESSES = 2
_SOON = timedelta(hours=1)
_PASSED_OVER_S = 60.0
_LONGEST_S = 3600.0
_Way: TypeAlias = Callable[[str, x509.Certificate, x509.Certificate, datetime], bool]


@dataclass(frozen=True, slots=True)
class Fetched:
    """How many words came, and the hosts that gave none though they were named."""

    got: int = 0
    silent: tuple[str, ...] = ()


@dataclass
class Fetcher:
    """Fetches into ``directory``; ``seconds`` for each address, three times that for one call; 0 asks nobody."""

    directory: TrustDirectory
    seconds: float = SECONDS
    _asleep: dict[str, tuple[float, float]] = field(default_factory=dict)

    def fetch(
        self,
        certificates: Iterable[x509.Certificate],
        carried: Sequence[x509.Certificate] = (),
        fresh: datetime | None = None,
    ) -> Fetched:
        """Fetch words on those certificates, and the authorities above them, that have none now.

        ``carried``: intermediates that came along. ``fresh``: words made since then are wanted, however current
        those at hand are; one that ends within an hour is renewed then too.
        """
        if self.seconds <= 0:
            return Fetched()
        until, now, got = time.monotonic() + 3 * self.seconds, datetime.now(UTC), 0
        silent: set[str] = set()
        for path, certificate, issuer in self._missing(certificates, carried, now, fresh):
            if time.monotonic() >= until:
                break
            if self._one(certificate, issuer, now):
                got += 1
                self._note(path[0], path[1:-1])
            else:
                silent.update(_hosts(certificate))
        return Fetched(got, tuple(sorted(silent)))

    def without_word(
        self, certificates: Iterable[x509.Certificate], carried: Sequence[x509.Certificate] = ()
    ) -> list[x509.Certificate]:
        """Those of ``certificates`` that hang on a trusted root and lack a word here, with what leads to the root."""
        lacking = self._missing(certificates, carried, datetime.now(UTC), None)
        return list(dict.fromkeys(one for path, _, _ in lacking for one in path[:-1]))

    def _missing(
        self,
        certificates: Iterable[x509.Certificate],
        carried: Sequence[x509.Certificate],
        now: datetime,
        fresh: datetime | None,
    ) -> Iterator[tuple[tuple[x509.Certificate, ...], x509.Certificate, x509.Certificate]]:
        """(the path from a leaf to its root, a certificate in it that has no word, its issuer), each certificate once."""
        done: set[bytes] = set()
        for leaf in list(certificates)[:_MOST]:
            path = tuple(validate_chain(leaf, carried, self.directory.anchors(), now, usage="any").path)
            for certificate, issuer in pairwise(path):
                name = certificate.fingerprint(hashes.SHA256())
                if name not in done and not self._has_word(certificate, issuer, now, fresh):
                    done.add(name)
                    yield path, certificate, issuer

    def _has_word(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        now: datetime,
        fresh: datetime | None,
    ) -> bool:
        known = self.directory.anchors()
        crls, ocsps, at = known.crls, known.ocsps, now
        if fresh is not None:
            crls = tuple(one for one in crls if one.last_update_utc >= fresh)
            ocsps = tuple(one for one in ocsps if one.produced_at_utc >= fresh)
            at = now + _SOON
        said = (
            status_of(certificate, issuer, crls, at),
            ocsp_status(certificate, issuer, ocsps, at),
        )
        return any(one is not Status.UNKNOWN for one in said)

    def _note(self, leaf: x509.Certificate, between: Sequence[x509.Certificate]) -> None:
        """That words on ``leaf`` were fetched, with the authorities that led to it."""
        folder = self.directory.path / ASKED
        folder.mkdir(exist_ok=True)
        chain = b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, *between))
        write_durably(folder / f"{leaf.fingerprint(hashes.SHA256()).hex()}.pem", chain)

    def _one(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
        return any(
            self._tried(self._ocsp, address, certificate, issuer, now) for address in _responders(certificate)
        ) or any(self._tried(self._crl, address, certificate, issuer, now) for address in _lists(certificate))

    def _tried(
        self, way: _Way, address: str, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> bool:
        until, pause = self._asleep.get(address, (0.0, 0.0))
        if until > time.monotonic():
            return False
        try:
            if way(address, certificate, issuer, now):
                self._asleep.pop(address, None)
                return True
        except (Refused, OSError, ValueError, TypeError, http.client.HTTPException) as problem:
            log.warning("no word on revocation from %s: %s", address[:200], type(problem).__name__)
        if len(self._asleep) > 1000:
            self._asleep.clear()
        pause = min(max(2 * pause, _PASSED_OVER_S), _LONGEST_S)
        self._asleep[address] = (time.monotonic() + pause, pause)
        return False

    def _ocsp(
        self, address: str, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> bool:
        request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256()).build()
        body = request.public_bytes(Encoding.DER)
        data = ask(address, self.seconds, MAX_OCSP, body, "application/ocsp-request")
        if ocsp_status(certificate, issuer, [read_response(data)], now) is Status.UNKNOWN:
            raise ValueError("it says nothing of this certificate")
        self._keep("ocsp", f"{certificate.fingerprint(hashes.SHA256()).hex()}.der", data)
        return True

    def _crl(
        self, address: str, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> bool:
        data = ask(address, self.seconds, MAX_CRL)
        found = read_crls(data)
        if status_of(certificate, issuer, found, now) is Status.UNKNOWN:
            raise ValueError("it says nothing of this certificate")
        self._keep("crls", f"fetched-{hashlib.sha256(address.encode()).hexdigest()[:32]}.crl", data)
        return True

    def _keep(self, folder: str, name: str, data: bytes) -> None:
        target = self.directory.path / folder / name
        target.parent.mkdir(exist_ok=True)
        write_durably(target, data)


def _hosts(certificate: x509.Certificate) -> set[str]:
    named = (*_responders(certificate), *_lists(certificate))
    return {(urlsplit(one).hostname or one)[:100] for one in named}


def _responders(certificate: x509.Certificate) -> list[str]:
    try:
        told = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    return _addresses(
        one.access_location for one in told if one.access_method == AuthorityInformationAccessOID.OCSP
    )


def _lists(certificate: x509.Certificate) -> list[str]:
    try:
        told = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    return _addresses(name for point in told for name in point.full_name or ())


def _addresses(names: Iterable[x509.GeneralName]) -> list[str]:
    found = [one.value for one in names if isinstance(one, x509.UniformResourceIdentifier)]
    return [one for one in found if one.startswith(("http://", "https://")) and len(one) < 1000][:_ADDRESSES]
