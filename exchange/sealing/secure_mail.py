# SPDX-License-Identifier: AGPL-3.0-or-later
"""Ordinary mail signed and encrypted: S/MIME (RFC 8551) and PGP/MIME (RFC 3156), with header protection (RFC 9788).

A mail (headers, then MIME content in 7 bits) becomes a *payload* that repeats its header fields: ``hp="clear"`` when it is
only signed, ``hp="cipher"`` when encrypted; then the outer Subject is ``[...]`` and ``HP-Outer`` fields say what
stands outside. Encrypted mail is signed inside first. It is EnvelopedData AES-256-CBC, which Thunderbird opens
(it cannot open AuthEnvelopedData); the signature inside is what protects it.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509

from config.refusal import Refused
from exchange.sealing.enveloped import encrypt_for_plain_clients
from exchange.sealing.judging import Sign
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.signed import sign_detached

Protection = Literal["clear", "cipher"]
HIDDEN_SUBJECT = "[...]"
_FIELD = re.compile(rb"([!-9;-~]+):((?:[^\r\n]|\r\n[ \t])*)\r\n")
_TRACE = {b"received", b"return-path", b"authentication-results", b"dkim-signature", b"bcc"}
_HIDDEN = {b"subject", b"keywords", b"comments"}


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail taken apart. Fields are (lower-case name, whole field with its line end)."""

    trace: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    content: tuple[tuple[bytes, bytes], ...]
    body: bytes


def sign_mail(
    mail: bytes, certificates: Sequence[x509.Certificate], sign: Sign, at: datetime | None = None
) -> bytes:
    """``multipart/signed`` by the holder of ``certificates[0]``, who must be the one in From. Raises ``Refused``."""
    parts = _apart(mail)
    payload = _payload(parts, "clear")
    signature = sign_detached(payload, certificates, sign, at)
    return _outer(parts, "clear") + _smime_signed(payload, signature)


def encrypt_mail(
    mail: bytes,
    recipients: Sequence[x509.Certificate],
    certificates: Sequence[x509.Certificate],
    sign: Sign,
    at: datetime | None = None,
) -> bytes:
    """Signed, then encrypted to ``recipients``. Raises ``Refused``."""
    parts = _apart(mail)
    payload = _payload(parts, "cipher")
    inner = _smime_signed(payload, sign_detached(payload, certificates, sign, at))
    head = (
        b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
    )
    return _outer(parts, "cipher") + head + _base64(encrypt_for_plain_clients(inner, recipients))


def pgp_sign_mail(mail: bytes, gpg: OpenPgp, fingerprint: str) -> bytes:
    """PGP/MIME ``multipart/signed``. Raises ``Refused``."""
    parts = _apart(mail)
    payload = _payload(parts, "clear")
    signature = gpg.sign(payload, fingerprint).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    head = b'Content-Type: application/pgp-signature; name="signature.asc"\r\n\r\n'
    kind = b'multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"'
    return _outer(parts, "clear") + _multipart(kind, payload, head + signature)


def pgp_encrypt_mail(mail: bytes, gpg: OpenPgp, recipients: Sequence[str], signer: str) -> bytes:
    """PGP/MIME ``multipart/encrypted`` to fingerprints, signed inside by ``signer``. Raises ``Refused``."""
    parts = _apart(mail)
    sealed = gpg.encrypt(_payload(parts, "cipher"), recipients, signer)
    sealed = sealed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    version = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1"
    data = b'Content-Type: application/octet-stream; name="encrypted.asc"\r\n\r\n' + sealed
    kind = b'multipart/encrypted; protocol="application/pgp-encrypted"'
    return _outer(parts, "cipher") + _multipart(kind, version, data)


def _apart(mail: bytes) -> _Mail:
    head, gap, body = mail.partition(b"\r\n\r\n")
    found = list(_FIELD.finditer(head + b"\r\n"))
    if not gap or sum(len(one[0]) for one in found) != len(head) + 2 or not mail.isascii():
        raise Refused(
            "mail-form", "Thư không đúng dạng để ký.", "The mail has not the form that can be signed."
        )
    fields = [(one[1].lower(), one[0]) for one in found]
    kept = [one for one in fields if one[0] not in _TRACE and one[0] != b"mime-version"]
    return _Mail(
        b"".join(raw for name, raw in fields if name in _TRACE and name != b"bcc"),
        tuple(one for one in kept if not one[0].startswith(b"content-")),
        tuple(one for one in kept if one[0].startswith(b"content-")),
        body,
    )


def _payload(mail: _Mail, how: Protection) -> bytes:
    """The cryptographic payload with the protected header fields (RFC 9788 §2.1)."""
    content = []
    types = [raw for name, raw in mail.content if name == b"content-type"]
    if not types:
        types = [b"Content-Type: text/plain; charset=us-ascii\r\n"]
    content.append(types[0][:-2] + b';\r\n hp="' + how.encode() + b'"\r\n')
    content += [raw for name, raw in mail.content if name != b"content-type"]
    outer = [b"HP-Outer: " + raw for _, raw in _shown(mail)] if how == "cipher" else []
    return b"".join((*(raw for _, raw in mail.fields), *outer, *content, b"\r\n", mail.body))


def _shown(mail: _Mail) -> list[tuple[bytes, bytes]]:
    """The outer fields of an encrypted mail (RFC 9788 §3.2.1, the baseline policy)."""
    shown = [one for one in mail.fields if one[0] not in _HIDDEN]
    return [*shown, (b"subject", b"Subject: " + HIDDEN_SUBJECT.encode() + b"\r\n")]


def _outer(mail: _Mail, how: Protection) -> bytes:
    fields = mail.fields if how == "clear" else _shown(mail)
    return mail.trace + b"".join(raw for _, raw in fields) + b"MIME-Version: 1.0\r\n"


def _smime_signed(payload: bytes, signature: bytes) -> bytes:
    head = (
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n'
    )
    kind = b'multipart/signed; micalg=sha-256; protocol="application/pkcs7-signature"'
    return _multipart(kind, payload, head + _base64(signature))


def _multipart(kind: bytes, first: bytes, second: bytes) -> bytes:
    boundary = b"congvan-" + secrets.token_hex(16).encode()
    mark = b"--" + boundary
    head = b"Content-Type: " + kind + b';\r\n boundary="' + boundary + b'"\r\n\r\n'
    return b"".join((head, mark, b"\r\n", first, b"\r\n", mark, b"\r\n", second, b"\r\n", mark, b"--\r\n"))


def _base64(data: bytes) -> bytes:
    text = base64.b64encode(data)
    return b"\r\n".join(text[at : at + 64] for at in range(0, len(text), 64)) + b"\r\n"
