# SPDX-License-Identifier: AGPL-3.0-or-later
"""Certificates of people that sign in by TLS (SASL EXTERNAL): whose mail address our own authority vouches for.

Only the installation's own root counts here: an authority that is trusted for signatures is not thereby
trusted to open mailboxes. Certificates of others are pinned to an account instead (`congvan device add`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.trust.anchors import Anchors
from exchange.trust.chain import validate_chain
from exchange.trust.directory import TrustDirectory
from exchange.trust.verdict import PASSED


def vouched(der: bytes, directory: TrustDirectory, now: datetime | None = None) -> tuple[str, ...]:
    """The mail addresses in a certificate that is good now by its chain, its times and a current revocation list."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ()
    moment = now or datetime.now(UTC)
    told = validate_chain(certificate, (), _own(directory), moment, require_revocation=True)
    return tuple(names.get_values_for_type(x509.RFC822Name)) if told.status == PASSED else ()


def authorities(directory: TrustDirectory) -> list[bytes]:
    """Our own authorities, DER: what the TLS handshake accepts certificates of."""
    own = _own(directory)
    return [one.public_bytes(Encoding.DER) for one in (*own.roots, *own.intermediates)]


def _own(directory: TrustDirectory) -> Anchors:
    return replace(directory.anchors(), roots=directory.own_roots())
