# SPDX-License-Identifier: AGPL-3.0-or-later
"""Certificates of devices: a mail program that proves its key in the TLS handshake signs in without a password.

A pinned certificate counts by its SHA-256 fingerprint alone, whoever issued it; the credential of the kind
``cert`` beside it is what a person takes back. All functions of a connection.
"""

from __future__ import annotations

import hashlib
import warnings
from datetime import UTC, datetime

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from config.refusal import Refused
from mailserver.accounts.model import AccountRef
from mailserver.accounts.schema import device_certificate as table

KIND = "cert"
LARGEST = 16 * 1024
"""Bytes of a file that holds a certificate."""


class OpensNothing(Refused):
    """The certificate opens no account, or not this one; which of them is not said."""

    def __init__(self) -> None:
        super().__init__(
            "bad-credentials",
            "Chứng thư số này không mở được tài khoản nào ở đây. Hãy gắn chứng thư vào tài khoản, hoặc dùng mật khẩu ứng dụng.",
            "This certificate opens no account here. Have it added to the account, or use an app password.",
        )


def fingerprint(der: bytes) -> bytes:
    """SHA-256 of a certificate."""
    return hashlib.sha256(der).digest()


def fit(data: bytes) -> bytes:
    """The DER of a certificate (PEM or DER) that a mail program can sign in with. Raises `Refused`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(data) > LARGEST:
                raise ValueError("too large")
            pem = b"-----BEGIN CERTIFICATE-----" in data
            found = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
            key = found.public_key()
            purposes = _purposes(found)
            authority = _is_authority(found)
    except ValueError as problem:
        raise _unfit("tệp không phải chứng thư X.509", "the file is not an X.509 certificate") from problem
    strong = (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256)
        or isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))
    )
    if not strong:
        raise _unfit(
            "khóa quá yếu (cần RSA 2048, P-256 hoặc hơn)", "its key is too weak (RSA 2048, P-256 or more)"
        )
    if found.not_valid_after_utc <= datetime.now(UTC):
        raise _unfit("chứng thư đã hết hạn", "it has expired")
    if authority:
        raise _unfit("đây là chứng thư của nơi cấp chứng thư", "it is a certificate authority's")
    if purposes is not None and not purposes & {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }:
        raise _unfit("chứng thư không dùng để đăng nhập TLS", "it is not meant for TLS clients (clientAuth)")
    return found.public_bytes(Encoding.DER)


def pin(conn: sa.Connection, ref: AccountRef, credential: int, der: bytes) -> None:
    """Bind a certificate to a device of an account. Raises `Refused` when it is somebody's already."""
    mark = fingerprint(der)
    if holder(conn, mark) is not None:
        raise Refused(
            "certificate-taken",
            "Chứng thư này đã gắn với một thiết bị. Gỡ thiết bị đó trước.",
            "This certificate belongs to a device already. Remove that device first.",
        )
    conn.execute(
        sa.insert(table).values(
            fingerprint=mark, agency=ref.agency, account=ref.account, credential=credential, certificate=der
        )
    )


def unpin(conn: sa.Connection, ref: AccountRef, credential: int) -> None:
    """Forget the certificate of a device, if it has one."""
    conn.execute(
        sa.delete(table).where(
            table.c.agency == ref.agency, table.c.account == ref.account, table.c.credential == credential
        )
    )


def holder(conn: sa.Connection, mark: bytes) -> AccountRef | None:
    """The account that the certificate with this fingerprint is pinned to."""
    row = conn.execute(sa.select(table.c.agency, table.c.account).where(table.c.fingerprint == mark)).first()
    return AccountRef(row.agency, row.account) if row is not None else None


def pinned(conn: sa.Connection) -> list[bytes]:
    """All pinned certificates, DER."""
    return [bytes(row[0]) for row in conn.execute(sa.select(table.c.certificate))]


def _purposes(cert: x509.Certificate) -> set[x509.ObjectIdentifier] | None:
    try:
        return set(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None


def _is_authority(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _unfit(vi: str, en: str) -> Refused:
    return Refused(
        "certificate-unfit", f"Không dùng được chứng thư: {vi}.", f"The certificate can't be used: {en}."
    )
