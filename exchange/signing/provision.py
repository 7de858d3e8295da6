# SPDX-License-Identifier: AGPL-3.0-or-later
"""Makes all keys and certificates of a new installation: private side sealed, public side published.

Used by the demo and by a first set-up; a real installation gives people and agencies keys on tokens
and certificates of the government's authority instead (DESIGN 4.15).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from config.durable import write_durably
from exchange.receipts.log_key import log_certificate
from exchange.signing.keys import (
    Approval,
    KeyMissing,
    KeyStore,
    KeyUnreadable,
    PrivateKey,
    key_mark,
    make_secret,
)
from exchange.signing.token import OwnToken
from exchange.trust import authority as ca
from exchange.trust.directory import TrustDirectory
from exchange.trust.status_places import checked_base
from policy.ledger.checkpoint import Key


@dataclass(frozen=True, slots=True)
class AgencyKeys:
    """An agency that gets keys: its code, name and registry address."""

    code: str
    name: str
    registry: str


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A person who gets a signing key. ``agency`` is the name of the agency, ``title`` the post."""

    address: str
    name: str
    title: str
    agency: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where things go: the signer's folder and secret, the published folder, the TLS pair (or none).

    ``status_url``: where the status of certificates is served (`exchange.trust.status_places`), "" names none.
    """

    keys: Path
    secret: Path
    trust: Path
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    status_url: str = ""


def provision(
    places: Places,
    *,
    province: str,
    origin: str,
    tls_name: str,
    agencies: Iterable[AgencyKeys],
    people: Iterable[PersonKey],
    approval: Approval = "file",
) -> None:
    """Makes everything once. ``origin`` names the ledger; ``approval`` is the mode of persons' and seals' keys.

    Raises `Refused` (``key-exists``) or `FileExistsError` when something is there already.
    """
    places.secret.parent.mkdir(parents=True, exist_ok=True)
    make_secret(places.secret)
    store = KeyStore(places.keys, places.secret)
    directory = TrustDirectory(places.trust)
    directory.create()
    base = checked_base(places.status_url)
    root = ca.make_root(f"{province} - Root CA", province, status_url=base)
    issuing = ca.make_issuing(root, f"{province} - Issuing CA", province)
    store.add("ca-root", root.key, "service")
    store.add("ca-issuing", issuing.key, "service")
    directory.put("ca", [root.certificate])
    directory.put("intermediate", [issuing.certificate])
    directory.put_crl("root", ca.make_crl(root, 1))
    directory.put_crl("issuing", ca.make_crl(issuing, 1))
    make_timestamps(store, directory, issuing, province)
    _ledger(store, directory, issuing, province, origin)
    if places.tls_certificate is not None and places.tls_key is not None:
        _tls(places.tls_certificate, places.tls_key, issuing, tls_name)
    for agency in agencies:
        add_agency(store, directory, issuing, agency, approval)
    for person in people:
        add_person(store, directory, issuing, person, approval)


def add_agency(
    store: KeyStore,
    directory: TrustDirectory,
    issuing: ca.Authority,
    agency: AgencyKeys,
    approval: Approval,
    renew: str = "",
) -> None:
    """Keys and certificates of one agency. Raises `Refused` when it has them and they are not renewed.

    ``renew``: ``sign``, ``decrypt`` or ``both``, "" for a new agency. The certificate of an earlier
    decryption key stays published, so that what was encrypted to it is still opened.
    """
    issuer = issuing.certificate
    if renew != "decrypt":
        sealing = store.make(f"agency-sign:{agency.code}", approval, replacing=bool(renew))
        signs = ca.agency_signing_certificate(
            issuing, sealing, agency=agency.name, code=agency.code, address=agency.registry, approval=approval
        )
        directory.put_seal(agency.code, [signs, issuer])
    if renew != "sign":
        opening = store.make(f"agency-decrypt:{agency.code}", "service", replacing=bool(renew))
        encrypts = ca.agency_encryption_certificate(
            issuing, opening, agency=agency.name, code=agency.code, address=agency.registry
        )
        directory.put_encryption(agency.code, [encrypts, issuer])


def add_person(
    store: KeyStore,
    directory: TrustDirectory,
    issuing: ca.Authority,
    person: PersonKey,
    approval: Approval,
    *,
    renew: bool = False,
    own: OwnToken | None = None,
) -> None:
    """Key and certificate of one person. Raises `Refused` when there is one and it is not renewed.

    ``own``: the person's token, in which a key of mode ``token`` is made.
    """
    public = store.make(f"person:{person.address.lower()}", approval, replacing=renew, own=own)
    certificate = ca.person_certificate(
        issuing,
        public,
        agency=person.agency,
        title=person.title,
        name=person.name,
        address=person.address,
        approval=approval,
    )
    directory.put_person(person.address, [certificate, issuing.certificate])


def export_agency_key(store: KeyStore, directory: TrustDirectory, code: str, path: Path) -> None:
    """Writes an agency's decryption key and certificate in clear, mode 0600: for the demo only.

    Raises `KeyMissing`.
    """
    key, _ = store.elliptic(f"agency-decrypt:{code}")
    certificate = directory.encryption_certificate_of_agency(code)
    if certificate is None:
        raise KeyMissing(f"agency-decrypt:{code}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, _clear(key) + certificate.public_bytes(Encoding.PEM), mode=0o600)


def issuing_authority(
    store: KeyStore, directory: TrustDirectory, name: str = "ca-issuing", status_url: str = ""
) -> ca.Authority:
    """The authority ``ca-issuing`` or ``ca-root`` of an installation. Raises `KeyMissing`."""
    key, _ = store.elliptic(name)
    anchors = directory.anchors()
    for certificate in (*anchors.intermediates, *anchors.roots):
        if certificate.public_key() == key.public_key():
            return ca.Authority(key, certificate, status_url)
    raise KeyMissing(name)


def succeed_issuing(store: KeyStore, directory: TrustDirectory, status_url: str = "") -> ca.Authority:
    """Another issuing authority, with a key and a name of its own, under the same root.

    The earlier one's certificate stays beside (``intermediates/``) and its key too (``ca-issuing~<mark>``): it
    goes on to list what it issued. Interrupted, it is called again. Raises `KeyMissing` without the root's key.
    """
    root = issuing_authority(store, directory, "ca-root", status_url)
    earlier = directory.issuing_certificate()
    if earlier is None:
        raise KeyMissing("ca-issuing")
    mark = mark_of(earlier)
    key, _ = store.elliptic("ca-issuing")
    if mark_of(key) == mark:
        directory.put_earlier_issuing(mark, earlier)
        store.make("ca-issuing", "service", replacing=True)
        key, _ = store.elliptic("ca-issuing")
    organisation = str(earlier.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
    number = 1 + sum(name.startswith("ca-issuing~") for name in store.names())
    made = ca.make_issuing(root, f"{organisation} - Issuing CA {number}", organisation, key=key)
    directory.put("intermediate", [made.certificate])
    return made


def mark_of(one: ec.EllipticCurvePrivateKey | x509.Certificate) -> str:
    """`key_mark` of the public half. Raises `KeyUnreadable` for a certificate of another kind of key."""
    public = one.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise KeyUnreadable("ca-issuing")
    return key_mark(public)


def days_left(certificate: x509.Certificate, now: datetime | None = None) -> int:
    """Whole days until ``certificate`` ends (negative when it has)."""
    return (certificate.not_valid_after_utc - (now or datetime.now(UTC))).days


def make_timestamps(
    store: KeyStore, directory: TrustDirectory, issuing: ca.Authority, organisation: str, renew: bool = False
) -> None:
    """Key and certificate of the time-stamp authority. Stamps of an earlier key carry its certificate."""
    public = store.make("tsa", "service", replacing=renew)
    name = f"{organisation} - TSA"
    certificate = ca.timestamp_certificate(issuing, public, name=name, organisation=organisation)
    directory.put("tsa", [certificate, issuing.certificate])


def _ledger(
    store: KeyStore, directory: TrustDirectory, issuing: ca.Authority, province: str, origin: str
) -> None:
    key = Ed25519PrivateKey.generate()
    store.add("ledger", key, "service")
    public = Key(origin, key.public_key().public_bytes_raw())
    directory.put_ledger(public, [log_certificate(issuing, public, province), issuing.certificate])


def renew_ledger(store: KeyStore, directory: TrustDirectory, issuing: ca.Authority) -> Key:
    """A new key of the ledger; the sequencer has both sign the next checkpoint (`policy.ledger.succession`).

    Interrupted, it is called again. Raises `KeyMissing`.
    """
    known = directory.ledger_keys()
    if known is None:
        raise KeyMissing("ledger")
    key, _ = store.get("ledger")
    if _public(key) == known.present.public:
        key = Ed25519PrivateKey.generate()
        store.succeed("ledger", known.present.hash.hex(), key)
    new = Key(known.present.name, _public(key))
    organisation = issuing.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
    directory.put_ledger(new, [log_certificate(issuing, new, str(organisation)), issuing.certificate])
    return new


def _public(key: PrivateKey) -> bytes:
    """The public half of the ledger's key, 32 bytes. Raises `KeyUnreadable` for another kind."""
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnreadable("ledger")
    return key.public_key().public_bytes_raw()


def _tls(certificate_file: Path, key_file: Path, issuing: ca.Authority, tls_name: str) -> None:
    key = ca.new_key()
    certificate = ca.tls_certificate(issuing, key.public_key(), dns_names=[tls_name, "localhost"])
    for path in (certificate_file, key_file):
        path.parent.mkdir(parents=True, exist_ok=True)
    chain = certificate.public_bytes(Encoding.PEM) + issuing.certificate.public_bytes(Encoding.PEM)
    write_durably(key_file, _clear(key), mode=0o600)
    write_durably(certificate_file, chain)


def _clear(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
