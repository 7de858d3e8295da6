# SPDX-License-Identifier: AGPL-3.0-or-later
"""An installation that asks mail programs for certificates: one made by openssl signs in to IMAP and submits a letter."""

from __future__ import annotations

import imaplib
import json
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Demo


@pytest.fixture
def asking() -> Iterator[Demo]:
    """A demo whose settings ask."""
    demo = Demo()
    try:
        demo.start()
        settings = demo.folder / "province.toml"
        text = settings.read_text(encoding="utf-8")
        assert "client_certificates = false" in text
        settings.write_text(
            text.replace("client_certificates = false", "client_certificates = true"), encoding="utf-8"
        )
        yield demo
    finally:
        demo.stop()


def test_a_certificate_from_openssl_signs_in(asking: Demo, tmp_path: Path) -> None:
    passwords = json.loads((asking.folder / "accounts.json").read_bytes())
    address = next(one for one in passwords if one.startswith("chuyenvien"))
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=phone"
    files = ["-addext", "extendedKeyUsage=clientAuth", "-addext", "basicConstraints=critical,CA:false"]
    out = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(["openssl", *words.split(), *files, *out], check=True, capture_output=True)
    made = asking.congvan(
        "device", "add", address, "--name", "Máy bàn", "--certificate", str(tmp_path / "cert.pem")
    )
    asking.run("stop")
    asking.start()
    context = ssl.create_default_context(cafile=asking.folder / asking.ready["ca"])
    context.check_hostname = False
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with imaplib.IMAP4_SSL(*_place(asking, "imaps"), ssl_context=context) as client:
        assert "AUTH=EXTERNAL" in client.capabilities
        assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
        assert client.select("INBOX")[0] == "OK"
    with smtplib.SMTP(*_place(asking, "submission")) as sender:
        sender.starttls(context=context)
        sender.ehlo()
        assert sender.docmd("AUTH", "EXTERNAL =")[0] == 235
        letter = f"From: {address}\r\nTo: {address}\r\nSubject: x\r\n\r\nx\r\n"
        assert sender.sendmail(address, [address], letter) == {}
    asking.congvan("device", "revoke", address, str(made["device"]))
    with (
        imaplib.IMAP4_SSL(*_place(asking, "imaps"), ssl_context=context) as client,
        pytest.raises(imaplib.IMAP4.error, match="opens no account"),
    ):
        client.authenticate("EXTERNAL", lambda _: b"")


def _place(demo: Demo, name: str) -> tuple[str, int]:
    host, _, port = demo.ready[name].rpartition(":")
    return host, int(port)
