# SPDX-License-Identifier: AGPL-3.0-or-later
"""SASL EXTERNAL (RFC 4422 §A, RFC 9051 §6.2.2): the certificate of the TLS handshake signs in, by its pin or by our authority's word."""

from __future__ import annotations

import base64
import imaplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from config.refusal import Refused
from exchange.trust import authority as ca
from exchange.trust.directory import TrustDirectory
from exchange.trust.vouching import authorities, vouched
from mailserver.accounts import devices
from mailserver.accounts.changes import set_state
from tests.conftest import PASSWORD
from tests.mailserver.imap.conftest import Served, Starter


@dataclass
class Pair:
    """A certificate and its key, also as files for a client."""

    certificate: x509.Certificate
    folder: Path

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)


def _kept(folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Pair:
    folder.mkdir()
    raw = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(raw)
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return Pair(certificate, folder)


def own_made(folder: Path) -> Pair:
    """Self-signed, as a mail program makes one."""
    key, now = ca.new_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Máy của tôi")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    return _kept(folder, key, made)


def client(served: Served, pair: Pair | None, *, starttls: bool = False) -> imaplib.IMAP4:
    """A client that shows the certificate."""
    context = ssl.create_default_context(cafile=served.ca)
    if pair is not None:
        context.load_cert_chain(pair.folder / "cert.pem", pair.folder / "key.pem")
    if starttls:
        made = imaplib.IMAP4("127.0.0.1", served.port)
        made.starttls(context)
        return made
    return imaplib.IMAP4_SSL("localhost", served.tls_port, ssl_context=context)


def external(made: imaplib.IMAP4, name: str = "") -> str:
    """Signs in; returns what was said."""
    kind, data = made.authenticate("EXTERNAL", lambda challenge: name.encode())
    assert kind == "OK"
    return str(data[0])


def pin(served: Served, pair: Pair, local: str = "cv1") -> int:
    """Gives a person the certificate; returns the device's number."""
    who, seal = served.person(local), served.province.seal
    made = served.province.database.write(
        lambda conn: devices.add_certificate(conn, seal, who, "Máy cơ quan", pair.der, who.address)
    )
    return made.number


@pytest.mark.parametrize("starttls", [False, True])
def test_a_pinned_certificate_opens_its_account_and_no_other(
    serve: Starter, tmp_path: Path, starttls: bool
) -> None:
    pair, other = own_made(tmp_path / "a"), own_made(tmp_path / "b")
    served = serve(clients=pair.der + other.der)
    served.fill(1)
    number = pin(served, pair)
    with client(served, pair, starttls=starttls) as one:
        assert "AUTH=EXTERNAL" in one.capabilities or b"AUTH=EXTERNAL" in one.capability()[1][0]
        external(one)
        assert one.select()[1] == [b"1"]
    with client(served, pair, starttls=starttls) as one:
        external(one, served.person("cv1").address.upper())
    for with_pair, name in (
        (pair, served.person("cv2").address),
        (other, ""),
        (other, served.person("cv1").address),
    ):
        with (
            client(served, with_pair, starttls=starttls) as one,
            pytest.raises(imaplib.IMAP4.error, match="opens no account here"),
        ):
            external(one, name)
    province = served.province
    province.database.write(
        lambda conn: devices.revoke(conn, province.seal, served.person("cv1"), number, "x")
    )
    with client(served, pair, starttls=starttls) as one, pytest.raises(imaplib.IMAP4.error, match="opens no"):
        external(one)


def test_the_device_shows_when_its_certificate_was_used(serve: Starter, tmp_path: Path) -> None:
    pair = own_made(tmp_path / "a")
    served = serve(clients=pair.der)
    pin(served, pair)
    with client(served, pair) as one:
        external(one)
    province, who = served.province, served.person("cv1")
    province.database.write(province.accounts.uses.write)
    with province.database.reading() as conn:
        (found,) = [one for one in devices.listed(conn, province.seal, who.ref) if one.label]
    assert (found.label, found.source) == ("Máy cơ quan", "127.0.0.1")
    assert found.used_us


def test_a_locked_account_stays_locked(serve: Starter, tmp_path: Path) -> None:
    pair = own_made(tmp_path / "a")
    served = serve(clients=pair.der)
    pin(served, pair)
    province = served.province
    province.database.write(
        lambda conn: set_state(conn, province.seal, served.person("cv1"), "locked", "officer")
    )
    province.accounts.forget()
    with client(served, pair) as one, pytest.raises(imaplib.IMAP4.error, match="AUTHORIZATIONFAILED"):
        external(one)


def test_without_a_certificate_external_is_not_offered(serve: Starter, tmp_path: Path) -> None:
    served = serve(clients=own_made(tmp_path / "a").der)
    with client(served, None) as one:
        assert "AUTH=EXTERNAL" not in one.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="showed no certificate"):
            external(one)
        one.login(served.person("cv1").address, PASSWORD)


def test_a_server_that_does_not_ask_sees_none(serve: Starter, tmp_path: Path) -> None:
    pair = own_made(tmp_path / "a")
    served = serve()
    pin(served, pair)
    with client(served, pair) as one:
        assert "AUTH=EXTERNAL" not in one.capabilities


def test_a_stranger_is_turned_away_in_the_handshake(serve: Starter, tmp_path: Path) -> None:
    served = serve(clients=own_made(tmp_path / "a").der)
    with pytest.raises((ssl.SSLError, imaplib.IMAP4.abort, ConnectionError)):
        client(served, own_made(tmp_path / "b")).noop()


@pytest.fixture
def issued(tmp_path: Path) -> tuple[TrustDirectory, ca.Authority, ca.Authority]:
    """A trust folder with a root, an issuing authority and their lists."""
    directory = TrustDirectory(tmp_path / "trust")
    directory.create()
    root = ca.make_root("Gốc", "Tỉnh")
    issuing = ca.make_issuing(root, "Nơi cấp", "Tỉnh")
    directory.put("ca", [root.certificate])
    directory.put("intermediate", [issuing.certificate])
    directory.put_crl("root", ca.make_crl(root, 1))
    directory.put_crl("issuing", ca.make_crl(issuing, 1))
    return directory, root, issuing


def _of_person(folder: Path, issuing: ca.Authority, address: str) -> Pair:
    key = ca.new_key()
    made = ca.person_certificate(
        issuing, key.public_key(), agency="UBND", title="Chuyên viên", name="Cán bộ", address=address
    )
    return _kept(folder, key, made)


def test_our_authority_vouches_for_the_address_in_a_certificate(
    serve: Starter, tmp_path: Path, issued: tuple[TrustDirectory, ca.Authority, ca.Authority]
) -> None:
    directory, _, issuing = issued
    served = serve(clients=b"".join(authorities(directory)), vouch=lambda der: vouched(der, directory))
    address = served.person("cv2").address
    pair = _of_person(tmp_path / "a", issuing, address.upper())
    with client(served, pair) as one:
        external(one)
    with client(served, pair) as one, pytest.raises(imaplib.IMAP4.error, match="opens no account"):
        external(one, served.person("cv1").address)
    seal = _of_person(tmp_path / "b", issuing, served.province.home.registry_address)
    with client(served, seal) as one, pytest.raises(imaplib.IMAP4.error, match="opens no account"):
        external(one)  # nobody signs in to a registry mailbox
    gone = ca.Revoked(pair.certificate.serial_number, datetime.now(UTC) - timedelta(minutes=1))
    directory.put_crl("issuing", ca.make_crl(issuing, 2, [gone]))
    with client(served, pair) as one, pytest.raises(imaplib.IMAP4.error, match="opens no account"):
        external(one)


def test_what_is_not_good_now_is_not_vouched_for(
    tmp_path: Path, issued: tuple[TrustDirectory, ca.Authority, ca.Authority]
) -> None:
    directory, _, issuing = issued
    pair = _of_person(tmp_path / "a", issuing, "cv1@vpubnd.camau.example")
    assert vouched(pair.der, directory) == ("cv1@vpubnd.camau.example",)
    assert not vouched(pair.der, directory, datetime.now(UTC) + timedelta(days=800))  # expired
    assert not vouched(pair.der, directory, datetime.now(UTC) + timedelta(days=8))  # no current list
    assert not vouched(pair.der[:-1], directory)
    assert not vouched(b"", directory)
    stranger = ca.make_issuing(ca.make_root("Khác", "Khác"), "Khác", "Khác")
    foreign = _of_person(tmp_path / "b", stranger, "cv1@vpubnd.camau.example")
    assert not vouched(foreign.der, directory)
    (directory.path / "roots" / "other.pem").write_bytes(stranger.certificate.public_bytes(Encoding.PEM))
    assert not vouched(foreign.der, directory)  # trusted for signatures is not trusted to open mailboxes


def test_certificates_that_are_refused(serve: Starter, tmp_path: Path) -> None:
    served = serve()
    pair = own_made(tmp_path / "a")
    pin(served, pair)
    root = ca.make_root("Gốc", "Tỉnh")
    web = ca.tls_certificate(root, ca.new_key().public_key(), dns_names=["x.example"])
    refused: dict[str, Callable[[], int]] = {
        "belongs to a device already": lambda: pin(served, pair, "cv2"),
        "certificate authority": lambda: pin(served, Pair(root.certificate, tmp_path)),
        "clientAuth": lambda: pin(served, Pair(web, tmp_path)),
    }
    for words, act in refused.items():
        with pytest.raises(Refused, match=words):
            act()
    province, who = served.province, served.person("cv1")
    for raw in (b"", b"x" * 100, pair.der[:-3], b"-----BEGIN CERTIFICATE-----\n", b"\x30" * 20_000):
        with pytest.raises(Refused, match="not an X"):
            province.database.write(
                lambda conn, raw=raw: devices.add_certificate(conn, province.seal, who, "x", raw, "x")
            )


def test_answers_that_are_not_external(serve: Starter, tmp_path: Path) -> None:
    """RFC 4422 §A, S8: bad base64, a NUL, bytes that are not UTF-8, a cancel are BAD and nothing more."""
    pair = own_made(tmp_path / "a")
    served = serve(clients=pair.der)
    pin(served, pair)
    with client(served, pair) as one:
        for raw in (b"???", base64.b64encode(b"a\0b"), base64.b64encode(b"\xff"), b"*"):
            tag = one._new_tag()
            one.send(tag + b" AUTHENTICATE EXTERNAL\r\n")
            assert one.readline() == b"+ \r\n"
            one.send(raw + b"\r\n")
            assert one.readline().startswith(tag + b" BAD")
        external(one)
