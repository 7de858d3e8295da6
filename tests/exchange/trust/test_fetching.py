# SPDX-License-Identifier: AGPL-3.0-or-later
"""OCSP both ways with openssl: our authority's answers judged by it, its responder on loopback asked by us; lists too."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.ocsp import OCSPRequestBuilder, OCSPResponseStatus, load_der_ocsp_response
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from exchange.trust import authority as ca
from exchange.trust import responder
from exchange.trust.chain import validate_chain
from exchange.trust.directory import TrustDirectory
from exchange.trust.fetching import Fetcher
from exchange.trust.refreshing import refresh
from tests.exchange.sealing.province import Province

Answer = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def province() -> Province:
    return Province()


@pytest.fixture
def served() -> Iterator[tuple[str, list[Answer], list[bytes]]]:
    """(address, [the answer to give], requests that came) of an HTTP server on loopback."""
    answers: list[Answer] = [lambda _: b""]
    came: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            data = answers[0](came[-1])
            self.send_response(200 if data else 500)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", answers, came
    server.shutdown()
    server.server_close()


def _certificate(province: Province, *, ocsp: str = "", crl: str = "") -> x509.Certificate:
    """A certificate of the issuing authority that names where its words are."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nơi khác")]))
        .issuer_name(province.issuing.certificate.subject)
        .public_key(ca.new_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=100))
    )
    if ocsp:
        way = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))
        builder = builder.add_extension(x509.AuthorityInformationAccess([way]), False)
    if crl:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), False)
    return builder.sign(province.issuing.key, hashes.SHA256())


def _directory(province: Province, folder: Path) -> TrustDirectory:
    directory = TrustDirectory(folder / "trust")
    directory.create()
    directory.put("ca", [province.root.certificate])
    directory.put("intermediate", [province.issuing.certificate])
    directory.put_crl("root", ca.make_crl(province.root, 1))
    return directory


def _revocation(directory: TrustDirectory, certificate: x509.Certificate) -> str:
    return validate_chain(certificate, (), directory.anchors(), datetime.now(UTC), usage="any").revocation


def _openssl_files(folder: Path, province: Province, certificate: x509.Certificate) -> None:
    key = province.issuing.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "issuing.key").write_bytes(key)
    (folder / "issuing.pem").write_bytes(province.issuing.certificate.public_bytes(Encoding.PEM))
    (folder / "root.pem").write_bytes(province.root.certificate.public_bytes(Encoding.PEM))
    (folder / "one.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def _openssl(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["openssl", "ocsp", *words], cwd=folder, capture_output=True, check=False, timeout=30, text=True
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
def test_openssl_asks_our_authority(
    province: Province, tmp_path: Path, digest: str, served: tuple[str, list[Answer], list[bytes]]
) -> None:
    """openssl as the client over HTTP: signature, nonce and status of our answers."""
    address, answers, _ = served
    certificate = province.a.chain[0]
    _openssl_files(tmp_path, province, certificate)
    revoked = ca.Revoked(certificate.serial_number, datetime.now(UTC), x509.ReasonFlags.key_compromise)
    for entries, word in (((), "one.pem: good"), ((revoked,), "one.pem: revoked")):
        crl = ca.make_crl(province.issuing, 2, entries)
        answers[0] = lambda request, crl=crl: responder.answer(request, province.issuing, crl)  # type: ignore[misc]
        said = _openssl(
            tmp_path, "-issuer", "issuing.pem", digest, "-cert", "one.pem", "-url", address,
            "-CAfile", "root.pem", "-verify_other", "issuing.pem",
        )  # fmt: skip
        assert "Response verify OK" in said, said
        assert word in said, said
        assert "WARNING" not in said, said  # the nonce came back
    assert "keyCompromise" in said


def test_questions_that_are_none(province: Province, tmp_path: Path) -> None:
    crl = ca.make_crl(province.issuing, 2)
    other = Province()
    _openssl_files(tmp_path, other, other.a.chain[0])
    _openssl(tmp_path, "-issuer", "issuing.pem", "-cert", "one.pem", "-reqout", "request")
    request = (tmp_path / "request").read_bytes()
    status = OCSPResponseStatus
    cases = [(request, status.UNAUTHORIZED)]
    junk = (b"", b"\x30\x80", request + b"\0" * 5000, *(request[:end] for end in range(1, len(request), 3)))
    cases += [(one, status.MALFORMED_REQUEST) for one in junk]
    for data, expected in cases:
        answer = load_der_ocsp_response(responder.answer(data, province.issuing, crl))
        assert answer.response_status is expected, data


def test_openssls_responder_is_asked_once(
    province: Province, tmp_path: Path, served: tuple[str, list[Answer], list[bytes]]
) -> None:
    """What came is kept: with the responder gone the word is still here."""
    address, answers, came = served
    certificate, directory = _certificate(province, ocsp=address), _directory(province, tmp_path)
    _openssl_files(tmp_path, province, certificate)
    until = certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ")
    serial = f"{certificate.serial_number:X}"
    serial = serial if len(serial) % 2 == 0 else f"0{serial}"
    (tmp_path / "index.txt").write_text(f"V\t{until}\t\t{serial}\tunknown\t/CN=a\n")

    def openssl(request: bytes) -> bytes:
        (tmp_path / "q").write_bytes(request)
        _openssl(
            tmp_path, "-index", "index.txt", "-CA", "issuing.pem", "-rsigner", "issuing.pem", "-rkey",
            "issuing.key", "-reqin", "q", "-respout", "r", "-ndays", "7",
        )  # fmt: skip
        return (tmp_path / "r").read_bytes()

    answers[0] = openssl
    assert _revocation(directory, certificate) == "not-checked"
    fetcher = Fetcher(directory)
    assert fetcher.fetch([certificate]).got == 1
    assert _revocation(directory, certificate) == "good"
    answers[0] = lambda _: b""
    assert Fetcher(directory).fetch([certificate]).got == 0
    assert len(came) == 1
    assert _revocation(TrustDirectory(directory.path), certificate) == "good"


def test_the_list_when_there_is_no_responder(
    province: Province, tmp_path: Path, served: tuple[str, list[Answer], list[bytes]]
) -> None:
    address, answers, came = served
    directory = _directory(province, tmp_path)
    certificate = _certificate(province, ocsp="http://127.0.0.1:1/", crl=address)
    revoked = [ca.Revoked(certificate.serial_number, datetime.now(UTC) - timedelta(hours=1))]
    answers[0] = lambda _: ca.make_crl(province.issuing, 3, revoked).public_bytes(Encoding.DER)
    fetcher = Fetcher(directory)
    assert fetcher.fetch([certificate]).got == 1
    assert _revocation(directory, certificate) == "revoked"
    assert fetcher.fetch([certificate]).got == 0
    assert len(came) == 1


def test_what_lies_is_too_long_or_silent_leaves_nothing(
    province: Province, tmp_path: Path, served: tuple[str, list[Answer], list[bytes]]
) -> None:
    address, answers, came = served
    directory, other = _directory(province, tmp_path), Province()
    lies: tuple[bytes, ...] = (
        b"junk",
        b"\0" * (11 * 1024 * 1024),
        ca.make_crl(other.issuing, 3).public_bytes(Encoding.DER),
        ca.make_crl(province.issuing, 3, now=datetime.now(UTC) - timedelta(days=30)).public_bytes(
            Encoding.DER
        ),
    )
    for lie in lies:
        answers[0] = lambda _, lie=lie: lie  # type: ignore[misc]
        certificate = _certificate(province, ocsp=address, crl=address + "list")
        fetcher = Fetcher(directory)
        assert fetcher.fetch([certificate]).got == 0
        seen = len(came)
        assert fetcher.fetch([certificate]).got == 0
        assert len(came) == seen  # passed over for a while
    assert list((directory.path / "crls").glob("fetched-*")) == []
    assert not list((directory.path / "ocsp").glob("*"))
    assert Fetcher(directory).fetch([_certificate(other, ocsp=address)]).got == 0  # hangs on no root of ours
    assert len(came) == 2 * len(lies)
    held = threading.Event()
    answers[0] = lambda _: str(held.wait(20)).encode()
    assert Fetcher(directory, seconds=0.3).fetch([_certificate(province, crl=address)]).got == 0
    held.set()


def test_a_list_is_renewed_before_it_ends_and_stays_when_nobody_answers(
    province: Province, tmp_path: Path, served: tuple[str, list[Answer], list[bytes]]
) -> None:
    """The worker's round: younger than six hours is left alone, older is asked for again, the ended is forgotten."""
    address, answers, came = served
    directory, now = _directory(province, tmp_path), datetime.now(UTC)
    certificate = _certificate(province, crl=address)

    def made(number: int, at: datetime, *revoked: ca.Revoked) -> Answer:
        return lambda _: ca.make_crl(province.issuing, number, revoked, at).public_bytes(Encoding.DER)

    answers[0] = made(3, now - timedelta(hours=2))
    fetcher = Fetcher(directory)
    assert fetcher.fetch([certificate]).got == 1
    assert refresh(fetcher) == 0
    assert len(came) == 1
    later = now + timedelta(hours=5)
    answers[0] = made(4, now, ca.Revoked(certificate.serial_number, now - timedelta(minutes=5)))
    assert refresh(fetcher, later) == 1
    assert _revocation(directory, certificate) == "revoked"
    answers[0] = lambda _: b""
    assert refresh(fetcher, later + timedelta(hours=12)) == 0
    assert _revocation(directory, certificate) == "revoked"
    asked = directory.path / "asked"
    assert len(list(asked.iterdir())) == 1
    (asked / "junk.pem").write_text("x")
    assert refresh(fetcher, certificate.not_valid_after_utc + timedelta(days=31)) == 0
    assert list(asked.iterdir()) == []


def test_a_hundred_stored_answers_hide_none(province: Province, tmp_path: Path) -> None:
    directory = _directory(province, tmp_path)
    (directory.path / "ocsp").mkdir()
    crl = ca.make_crl(province.issuing, 3)
    certificates = [_certificate(province) for _ in range(100)]
    for number, one in enumerate(certificates):
        asked = (
            OCSPRequestBuilder().add_certificate(one, province.issuing.certificate, hashes.SHA256()).build()
        )
        told = responder.answer(asked.public_bytes(Encoding.DER), province.issuing, crl)
        (directory.path / "ocsp" / f"{number:03}.der").write_bytes(told)
    assert [_revocation(directory, one) for one in (certificates[0], certificates[99])] == ["good", "good"]


def test_who_never_answers_is_left_alone_for_longer_and_is_named(province: Province, tmp_path: Path) -> None:
    directory = _directory(province, tmp_path)
    certificate = _certificate(province, crl="http://127.0.0.1:1/list")
    fetcher = Fetcher(directory)
    assert fetcher.fetch([certificate]).silent == ("127.0.0.1",)
    started = time.monotonic()
    assert fetcher.fetch([certificate]).silent == ("127.0.0.1",), "passed over, and still said"
    assert time.monotonic() - started < 1
    assert Fetcher(directory, seconds=0).fetch([certificate]).silent == (), "nobody is asked"


def test_a_name_that_nobody_resolves_is_waited_for_no_longer_than_said(
    province: Province, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()

    def no_answer(*_: object, **__: object) -> None:
        held.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", no_answer)
    fetcher = Fetcher(_directory(province, tmp_path), seconds=0.3)
    started = time.monotonic()
    assert fetcher.fetch([_certificate(province, ocsp="http://ocsp.example/")]).got == 0
    assert time.monotonic() - started < 2
    held.set()
