# SPDX-License-Identifier: AGPL-3.0-or-later
"""Time-stamps of others over HTTP: a real second authority (openssl ts), liars, outages, silence (RFC 3161)."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.refusal import Unavailable
from exchange.signing.timestamp import TimestampAuthority
from exchange.signing.timestamp_client import TimestampClient
from exchange.trust import authority as ca
from exchange.trust.anchors import Anchors
from exchange.trust.late_stamp import judge_late_stamp

DIGEST = hashlib.sha256(b"packet").digest()


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with `answer` of its server."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/timestamp-query"
        data = self.server.answer(body)  # type: ignore[attr-defined]
        self.send_response(200 if data is not None else 503)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[bytes], bytes | None]], str]]:
    """Starts an authority; gives its address."""
    servers = []

    def start(answer: Callable[[bytes], bytes | None]) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        server.answer = answer  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/tsa"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def other() -> tuple[ca.Authority, ca.Authority, TimestampAuthority]:
    """Another body's root, issuing authority and time-stamp authority."""
    root = ca.make_root("Other Root", "Other")
    issuing = ca.make_issuing(root, "Other CA", "Other")
    key = ca.new_key()
    certificate = ca.timestamp_certificate(issuing, key.public_key(), name="Other TSA", organisation="Other")
    numbers = iter(range(1, 10_000))
    return root, issuing, TimestampAuthority(key, certificate, (issuing.certificate,), lambda: next(numbers))


def asking(
    order: list[str], *roots: x509.Certificate, own: Callable[[bytes], bytes] | None = None
) -> TimestampClient:
    def down(_: bytes) -> bytes:
        raise Unavailable("signer-unavailable", "không", "no")

    return TimestampClient(tuple(order), 2.0, own or down, lambda: Anchors(tuple(roots)))


def test_openssl_as_a_second_authority(serve, other, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root, issuing, authority = other
    (tmp_path / "key.pem").write_bytes(
        authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "tsa.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "chain.pem").write_bytes(issuing.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "ca.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "ts.cnf").write_text(
        f"[tsa]\ndefault_tsa = one\n[one]\nserial = {tmp_path}/serial\nsigner_cert = {tmp_path}/tsa.pem\n"
        f"certs = {tmp_path}/chain.pem\nsigner_key = {tmp_path}/key.pem\nsigner_digest = sha256\n"
        "default_policy = 1.2.3.4.1\ndigests = sha256\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n"
    )

    def answer(body: bytes) -> bytes:
        (tmp_path / "q").write_bytes(body)
        subprocess.run(
            ["openssl", "ts", "-reply", "-config", "ts.cnf", "-queryfile", "q", "-out", "r"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        return (tmp_path / "r").read_bytes()

    token = asking(["own", serve(answer)], root.certificate).stamp(DIGEST)
    assert judge_late_stamp(token, DIGEST, Anchors((root.certificate,))).verdict == "TOTAL-PASSED"
    (tmp_path / "token").write_bytes(token)
    said = subprocess.run(
        [
            *("openssl", "ts", "-verify", "-digest", DIGEST.hex(), "-in", "token", "-token_in"),
            *("-CAfile", "ca.pem", "-untrusted", "chain.pem"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Verification: OK" in said.stdout + said.stderr


def test_our_own_comes_first_when_it_answers(serve, other) -> None:  # type: ignore[no-untyped-def]
    root, _, authority = other
    asked: list[bytes] = []
    address = serve(lambda body: asked.append(body))
    token = asking(["own", address], root.certificate, own=authority.token).stamp(DIGEST)
    assert token
    assert not asked


def _changed(authority: TimestampAuthority, flaw: str) -> Callable[[bytes], bytes | None]:
    """An authority that lies in one way."""

    def answer(body: bytes) -> bytes | None:
        read = tsp.TimeStampReq.load(body)
        if flaw == "imprint":
            read["message_imprint"]["hashed_message"] = bytes(32)
        if flaw == "nonce":
            read["nonce"] = 12345
        if flaw == "rejection":
            return authority.answer(b"junk")
        if flaw == "error":
            return None
        if flaw == "huge":
            return b"\x30\x83\xff\xff\xff" + bytes(300_000)
        if flaw == "junk":
            return b"<html>sign in first</html>"
        if flaw == "nothing":
            return b""
        made = authority.answer(tsp.TimeStampReq.load(read.dump(force=True)).dump())
        return made[:-1] + bytes([made[-1] ^ 1]) if flaw == "signature" else made

    return answer


FLAWS = ["imprint", "nonce", "rejection", "error", "huge", "junk", "nothing", "signature"]


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_liar_is_passed_over_and_the_next_one_asked(serve, other, flaw: str) -> None:  # type: ignore[no-untyped-def]
    root, _, authority = other
    lying, honest = serve(_changed(authority, flaw)), serve(authority.answer)
    client = asking([lying, honest], root.certificate)
    assert (
        judge_late_stamp(client.stamp(DIGEST), DIGEST, Anchors((root.certificate,))).verdict == "TOTAL-PASSED"
    )
    with pytest.raises(Unavailable) as problem:
        asking([lying], root.certificate).stamp(DIGEST)
    assert problem.value.code == "no-timestamp"


def test_a_certificate_for_something_else_or_of_nobody(serve, other) -> None:  # type: ignore[no-untyped-def]
    root, issuing, authority = other
    key = ca.new_key()
    person = ca.person_certificate(
        issuing, key.public_key(), agency="Other", title="T", name="N", address="a@x.example"
    )
    wrong = TimestampAuthority(key, person, (issuing.certificate,), lambda: 1)
    with pytest.raises(Unavailable):
        asking([serve(wrong.answer)], root.certificate).stamp(DIGEST)
    with pytest.raises(Unavailable):
        asking([serve(authority.answer)], ca.make_root("Mine", "Mine").certificate).stamp(DIGEST)


def test_silence_is_bounded_and_not_asked_again_at_once(serve, other) -> None:  # type: ignore[no-untyped-def]
    root, _, authority = other
    done = threading.Event()
    asked: list[int] = []

    def silent(body: bytes) -> bytes | None:
        asked.append(1)
        done.wait(10)
        return None

    client = asking([serve(silent), serve(authority.answer)], root.certificate)
    start = time.monotonic()
    assert client.stamp(DIGEST)
    assert time.monotonic() - start < 8
    assert client.stamp(DIGEST)
    assert len(asked) == 1
    done.set()
    with pytest.raises(Unavailable):
        asking(["ftp://x.example/", "file:///etc/passwd", "http://127.0.0.1:9/"], root.certificate).stamp(
            DIGEST
        )
