# SPDX-License-Identifier: AGPL-3.0-or-later
"""Foreign programs as clients: swaks, openssl."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import PASSWORD
from tests.mailserver.smtp.serving import Serving

CV1, CV2 = "cv1@vpubnd.camau.example", "cv2@vpubnd.camau.example"


def swaks(where: tuple[str, int], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["swaks", "--server", where[0], "--port", str(where[1]), *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "how", [["--pipeline"], ["--protocol", "SMTP"], []], ids=["pipelined", "helo", "plain"]
)
def test_swaks_from_outside(how: list[str], mail: Serving) -> None:
    done = swaks(mail.mx, "--from", "a@elsewhere.example", "--to", CV1, *how)
    assert done.returncode == 0, done.stdout
    assert len(mail.inbox(CV1)) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_signs_in(mechanism: str, mail: Serving) -> None:
    words = ["--auth", mechanism, "--auth-user", CV1, "--auth-password", PASSWORD, "--from", CV1, "--to", CV2]
    done = swaks(mail.submission, *words)
    assert done.returncode == 0, done.stdout
    assert b"with ESMTPA id" in mail.inbox(CV2)[0]


def test_swaks_is_refused(mail: Serving) -> None:
    assert "550 5.7.1" in swaks(mail.mx, "--from", "a@b.example", "--to", "c@d.example").stdout
    assert swaks(mail.submission, "--from", CV1, "--to", CV2).returncode != 0


def test_openssl_takes_starttls(mail: Serving) -> None:
    host, port = mail.submission
    done = subprocess.run(
        f"openssl s_client -starttls smtp -crlf -quiet -connect {host}:{port} -CAfile {mail.folder}/ca.pem".split(),
        input="EHLO o\nQUIT\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "250 AUTH PLAIN LOGIN" in done.stdout, done.stderr
    assert "221 2.0.0 Bye" in done.stdout
