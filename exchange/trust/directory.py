# SPDX-License-Identifier: AGPL-3.0-or-later
"""The public side of the keys: certificates by address and by code, anchors, revocation lists.

    ca.pem                    the root                 intermediate.pem   the issuing authority
    crls/root.crl issuing.crl DER                      tsa.pem            the time-stamp authority
    ocsp/*.der                stored OCSP responses    lists.toml         trust lists (`trust.lists`); pins.toml pins
    people/<address>.pem      certificate + issuer     ledger.vkey        the ledger's public key; ledger.pem its certificate
    intermediates/issuing-<mark>.pem, crls/issuing-<mark>.crl, ledger-earlier.vkeys, ledger-<hash>.pem: what gave way
    agencies/<code>.sign.pem  <code>.encrypt.pem       also agencies elsewhere, when added
    agencies/<code>.asc       our agencies' OpenPGP keys, <code>.retired.asc those before
    openpgp/*.asc             OpenPGP keys of partners; <code>~<fingerprint>.asc of agencies that are pinned

Read by every process, written only by provisioning, by the signer (revocation lists) and by ``congvan agency pin`` (the worker).
"""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.durable import write_durably
from exchange.trust.anchors import Anchors, Period, read_certificates, read_crls
from exchange.trust.chain import issued
from exchange.trust.lists import PINS, Lists, read_lists
from exchange.trust.ocsp import read_response
from exchange.trust.status_places import key_id
from policy.ledger.checkpoint import Key
from policy.ledger.succession import LogKeys

_MAX_CACHED = 20_000
_VKEY, _EARLIER = "ledger.vkey", "ledger-earlier.vkeys"


class TrustDirectory:
    """Looks up certificates in the folder; keeps what it read until the file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cache: dict[Path, tuple[tuple[int, int], tuple[x509.Certificate, ...]]] = {}
        self._anchors: tuple[tuple[tuple[int, int] | None, ...], Anchors] | None = None
        self._guard = threading.Lock()

    def certificate_of_person(self, address: str) -> x509.Certificate | None:
        """The signing certificate of the person with this mail address."""
        return self._first(self.path / "people" / f"{_safe(address.lower())}.pem")

    def signing_certificate_of_agency(self, code: str) -> x509.Certificate | None:
        """The certificate of the agency's seal."""
        return self._first(self.path / "agencies" / f"{_safe(code)}.sign.pem")

    def encryption_certificate_of_agency(self, code: str) -> x509.Certificate | None:
        """The certificate to encrypt to the agency with."""
        return self._first(self.path / "agencies" / f"{_safe(code)}.encrypt.pem")

    def encryption_certificates_of_agency(self, code: str) -> list[x509.Certificate]:
        """The present certificate and those that went out of use, newest first: what it may have to open."""
        now = self.encryption_certificate_of_agency(code)
        before = self._all(self.path / "agencies" / f"{_safe(code)}.retired.pem")
        return [one for one in (now, *before) if one is not None]

    def timestamp_certificate(self) -> x509.Certificate | None:
        """The certificate of our time-stamp authority."""
        return self._first(self.path / "tsa.pem")

    def issuing_certificate(self) -> x509.Certificate | None:
        """The certificate of the issuing authority of today."""
        return self._first(self.path / "intermediate.pem")

    def earlier_issuing(self) -> list[x509.Certificate]:
        """Issuing authorities of ours that gave way to another one."""
        kept = sorted((self.path / "intermediates").glob("issuing-*.pem"))
        return [one for file in kept for one in self._all(file)[:1]]

    def issuers_of(self, *certificates: x509.Certificate | None) -> list[x509.Certificate]:
        """The authorities below the root, of today or earlier, that issued these (go into signatures), each once."""
        found = {
            one: None
            for certificate in certificates
            for one in self.anchors().intermediates
            if certificate is not None and certificate.issuer == one.subject and issued(certificate, one)
        }
        return list(found)

    def openpgp_keys(self) -> list[bytes]:
        """The OpenPGP keys (armour) of partners who have nothing else: pinned, or put into ``openpgp/*.asc`` by hand."""
        return [one.read_bytes() for one in sorted((self.path / "openpgp").glob("*.asc"))[:500]]

    def openpgp_ring(self) -> list[bytes]:
        """All of those and the present and earlier keys of our own agencies: one ring of public keys for gpg."""
        own = sorted((self.path / "agencies").glob("*.asc"))
        return [*self.openpgp_keys(), *(one.read_bytes() for one in own)]

    def openpgp_of_partner(self, code: str, fingerprint: str) -> bytes | None:
        """The OpenPGP key (armour) that was pinned for an agency elsewhere."""
        path = self._openpgp_file(code, fingerprint)
        return path.read_bytes() if path.is_file() else None

    def openpgp_of_agency(self, code: str) -> list[bytes]:
        """The OpenPGP keys (armour) of an agency of ours, the present one first; empty when it has none."""
        names = (f"{_safe(code)}.asc", f"{_safe(code)}.retired.asc")
        found = [self.path / "agencies" / one for one in names]
        if not found[0].is_file():
            return []
        kept = [one.read_bytes() for one in found if one.is_file()]
        end = b"-----END PGP PUBLIC KEY BLOCK-----\r\n"
        return [key + end for data in kept for key in data.split(end)[:-1]]

    def ledger_keys(self) -> LogKeys | None:
        """The ledger's public keys; None when there is none. Raises ValueError for what is no vkey."""
        try:
            present = Key.parse((self.path / _VKEY).read_text())
        except FileNotFoundError:
            return None
        try:
            earlier = (self.path / _EARLIER).read_text().split()
        except FileNotFoundError:
            earlier = []
        return LogKeys(present, tuple(Key.parse(one) for one in earlier))

    def put_ledger(self, key: Key, certificates: list[x509.Certificate]) -> None:
        """Publishes the ledger's key; a certificate that is there for another key is kept (`ledger_certificates`)."""
        before, known = self._all(self.path / "ledger.pem"), self.ledger_keys()
        if known is not None and known.present != key:
            self._write(self.path / f"ledger-{known.present.hash.hex()}.pem", list(before))
            lines = [one.vkey for one in known.earlier if one != known.present] + [known.present.vkey]
            write_durably(self.path / _EARLIER, "".join(f"{one}\n" for one in lines).encode())
        self._write(self.path / "ledger.pem", certificates)
        write_durably(self.path / _VKEY, (key.vkey + "\n").encode())

    def ledger_chains(self) -> list[tuple[x509.Certificate, ...]]:
        """The certificates of the ledger's keys, each with its issuer, that of today first."""
        files = [self.path / "ledger.pem", *sorted(self.path.glob("ledger-*.pem"))]
        return [found for one in files if (found := self._all(one))]

    def anchors(self) -> Anchors:
        """Roots (``ca.pem`` and ``roots/*.pem``), intermediates and current revocation lists."""
        roots = [self.path / "ca.pem", *sorted((self.path / "roots").glob("*.pem"))]
        between = [self.path / "intermediate.pem", *sorted((self.path / "intermediates").glob("*.pem"))]
        lists = sorted((self.path / "crls").glob("*.crl"))
        answers = sorted((self.path / "ocsp").glob("*.der"))
        state = tuple(_state(one) for one in (*roots, *between, *lists, *answers, self.path / "lists.toml"))
        with self._guard:
            if self._anchors is None or self._anchors[0] != state:
                loaded = Anchors.load(*([one for one in group if one.exists()] for group in (roots, between)))
                ocsps = tuple(read_response(one.read_bytes(), one.name) for one in answers)
                found = Anchors(
                    loaded.roots, loaded.intermediates, tuple(self.crls()), ocsps, self._periods()
                )
                self._anchors = (state, found)
            return self._anchors[1]

    def own_roots(self) -> tuple[x509.Certificate, ...]:
        """The installation's own root (``ca.pem``), without those it trusts of others."""
        return self._all(self.path / "ca.pem")

    def lists(self) -> Lists:
        """The trust lists, and the pins written by hand or by command."""
        found = read_lists(self.path / "lists.toml")
        written = read_lists(self.path / PINS)
        return Lists(found.lists, (*found.pins, *written.pins), (*found.openpgp, *written.openpgp))

    def _periods(self) -> tuple[Period, ...]:
        return tuple(
            Period(root, one.since, one.until, one.kind)
            for one in self.lists().lists
            for name in one.roots
            for root in read_certificates((self.path / name).read_bytes(), name)
        )

    def crls(self) -> list[x509.CertificateRevocationList]:
        """The revocation lists of our authorities and of others that were put here."""
        found = []
        for path in sorted((self.path / "crls").glob("*.crl")):
            found += read_crls(path.read_bytes(), path.name)
        return found

    def authority_named(self, key: str) -> x509.Certificate | None:
        """The certificate of an authority with this key id (`status_places.key_id`)."""
        known = self.anchors()
        return next((one for one in (*known.intermediates, *known.roots) if key_id(one) == key != ""), None)

    def list_named(self, name: str) -> x509.CertificateRevocationList | None:
        """The newest list of the authority with this key id; ``root`` and ``issuing``: of ours of today."""
        ours = {"root": self.own_roots()[:1], "issuing": self._all(self.path / "intermediate.pem")[:1]}
        asked = ours[name][0] if ours.get(name) else self.authority_named(name)
        if asked is None:
            return None
        key = asked.public_key()
        signed = [
            one
            for one in self.crls()
            if one.issuer == asked.subject and one.is_signature_valid(key)  # type: ignore[arg-type]
        ]
        return max(signed, key=lambda one: one.last_update_utc, default=None)

    # --- writing (provisioning and the signer)

    def create(self) -> None:
        """Makes the folders."""
        for name in ("people", "agencies", "crls", "roots", "intermediates"):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def put_person(self, address: str, certificates: list[x509.Certificate]) -> None:
        """Publishes a person's certificate with its issuer."""
        self._write(self.path / "people" / f"{_safe(address.lower())}.pem", certificates)

    def put_agency(
        self, code: str, signing: list[x509.Certificate], encryption: list[x509.Certificate]
    ) -> None:
        """Publishes the two certificates of an agency, each with its issuer."""
        self.put_seal(code, signing)
        self.put_encryption(code, encryption)

    def put_seal(self, code: str, certificates: list[x509.Certificate]) -> None:
        """Publishes the certificate of an agency's seal with its issuer."""
        self._write(self.path / "agencies" / f"{_safe(code)}.sign.pem", certificates)

    def put_encryption(self, code: str, certificates: list[x509.Certificate]) -> None:
        """Publishes the certificate to encrypt to an agency with; the one before it is kept as retired."""
        before = self.encryption_certificate_of_agency(code)
        retired = self.path / "agencies" / f"{_safe(code)}.retired.pem"
        if before is not None and before != certificates[0]:
            self._write(retired, [before, *self._all(retired)])
        self._write(self.path / "agencies" / f"{_safe(code)}.encrypt.pem", certificates)

    def put(self, name: str, certificates: list[x509.Certificate]) -> None:
        """Publishes ``ca``, ``intermediate``, ``tsa`` or ``ledger``."""
        self._write(self.path / f"{name}.pem", certificates)

    def put_earlier_issuing(self, mark: str, certificate: x509.Certificate) -> None:
        """Keeps the certificate of an issuing authority that gave way to another one."""
        self._write(self.path / "intermediates" / f"issuing-{mark}.pem", [certificate])

    def put_crl(self, name: str, crl: x509.CertificateRevocationList) -> None:
        """Publishes the list of ``root``, ``issuing`` or ``issuing-<key mark>`` (an earlier one)."""
        write_durably(self.path / "crls" / f"{name}.crl", crl.public_bytes(Encoding.DER))

    def put_openpgp(self, code: str, armour: bytes) -> None:
        """Publishes an agency's OpenPGP key; the ones before it are kept as retired."""
        before = b"".join(self.openpgp_of_agency(code))
        folder = self.path / "agencies"
        if before:
            write_durably(folder / f"{_safe(code)}.retired.asc", before)
        write_durably(folder / f"{_safe(code)}.asc", armour)

    def put_partner(self, code: str, fingerprint: str, armour: bytes) -> None:
        """Keeps the OpenPGP key of an agency elsewhere."""
        path = self._openpgp_file(code, fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, armour)

    def drop_partner(self, code: str, fingerprint: str) -> None:
        """Forgets it."""
        self._openpgp_file(code, fingerprint).unlink(missing_ok=True)

    def _openpgp_file(self, code: str, fingerprint: str) -> Path:
        return self.path / "openpgp" / f"{_safe(code)}~{fingerprint}.asc"

    @staticmethod
    def _write(path: Path, certificates: list[x509.Certificate]) -> None:
        write_durably(path, b"".join(one.public_bytes(Encoding.PEM) for one in certificates))

    def _first(self, path: Path) -> x509.Certificate | None:
        found = self._all(path)
        return found[0] if found else None

    def _all(self, path: Path) -> tuple[x509.Certificate, ...]:
        state = _state(path)
        if state is None:
            return ()
        with self._guard:
            kept = self._cache.get(path)
        if kept is None or kept[0] != state:
            kept = (state, tuple(read_certificates(path.read_bytes(), path.name)))
            with self._guard:
                if len(self._cache) >= _MAX_CACHED:
                    self._cache.clear()
                self._cache[path] = kept
        return kept[1]


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _safe(name: str) -> str:
    """A file name that can't leave its folder."""
    quoted = quote(name, safe="@+")
    return quoted.replace(".", "%2E", 1) if quoted.startswith(".") else quoted
