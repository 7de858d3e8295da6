# SPDX-License-Identifier: AGPL-3.0-or-later
"""S2: nothing said in clear lasts into TLS; what needs TLS has it."""

from __future__ import annotations

import socket
import ssl

from tests.mailserver.smtp.serving import Serving, Talk
from tests.mailserver.smtp.talking import CV1, sign_in


def test_s2_starttls_injection(mail: Serving) -> None:
    with socket.create_connection(mail.submission, 10) as plain:
        plain.recv(1000)
        plain.sendall(b"EHLO x\r\n")
        assert b"STARTTLS" in plain.recv(4000)
        plain.sendall(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x.example>\r\n")
        assert plain.recv(1000).startswith(b"220 ")
        with mail.client_tls().wrap_socket(plain, server_hostname="localhost") as secure:
            file = secure.makefile("rb")
            secure.sendall(b"NOOP\r\n")
            assert file.readline() == b"250 2.0.0 OK\r\n"  # nothing answers the injected commands
            secure.sendall(b"MAIL FROM:<x@x.example>\r\n")
            assert file.readline().startswith(b"503")  # EHLO of before TLS is forgotten
            secure.sendall(b"STARTTLS\r\n")
            assert file.readline().startswith(b"503")
            secure.sendall(b"EHLO y\r\n")
            offers = []
            while not offers or offers[-1][3:4] == b"-":
                offers.append(file.readline())
            assert any(one[4:] == b"AUTH PLAIN LOGIN\r\n" for one in offers)
            assert not any(b"STARTTLS" in one for one in offers)


def test_s2_signing_in_before_tls_is_forgotten(mail: Serving) -> None:
    with Talk(mail.submission) as talk:
        assert sign_in(talk).startswith("235")
        assert talk.ask("STARTTLS").startswith("220")
        secure = mail.client_tls().wrap_socket(talk.socket, server_hostname="localhost")
        file = secure.makefile("rb")
        secure.sendall(f"EHLO x\r\nMAIL FROM:<{CV1}>\r\n".encode())
        while not (line := file.readline()).startswith(b"250 "):
            assert line
        assert file.readline().startswith(b"530")
        secure.close()


def test_no_sign_in_in_clear_unless_allowed(mail: Serving) -> None:
    mail.loop.run(mail.server.stop())
    object.__setattr__(mail.settings.mail, "plaintext_on_loopback", False)
    mail.loop.run(mail.server.start())
    with Talk(mail.submission) as talk:
        assert "AUTH" not in talk.ask("EHLO x")
        assert sign_in(talk).startswith("538-5.7.11")


def test_tls_refuses_old_versions_of_clients_gracefully(mail: Serving) -> None:
    """Plain bytes on the implicit-TLS port end that connection only."""
    with socket.create_connection(mail.submissions, 5) as plain:
        plain.sendall(b"EHLO x\r\n")
        assert plain.recv(100)[:1] in (b"", b"\x15")
    with ssl.create_default_context(cafile=str(mail.folder / "ca.pem")).wrap_socket(
        socket.create_connection(mail.submissions, 5), server_hostname="localhost"
    ) as secure:
        assert secure.recv(100).startswith(b"220 ")
