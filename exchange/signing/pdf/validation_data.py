# SPDX-License-Identifier: AGPL-3.0-or-later
"""Revocation data into the file before the organisation signs (DSS, ISO 32000-2 §12.8.4.3; DESIGN 4.13).

The lists are older than the seal by construction: they prove the status as of their thisUpdate. The
receiver may have newer ones.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.validation.dss import DocumentSecurityStore

from exchange.trust.revocation import lists_about


def add_validation_data(
    data: bytes, certificates: Iterable[x509.Certificate], crls: Iterable[x509.CertificateRevocationList]
) -> bytes:
    """``data`` with certificates and the lists of their issuers in its DSS, as a revision of its own."""
    known = list(dict.fromkeys(certificates))
    out = io.BytesIO(data)
    DocumentSecurityStore.add_dss(
        out,
        None,
        certs=[asn1_x509.Certificate.load(one.public_bytes(Encoding.DER)) for one in known],
        crls=[
            asn1_crl.CertificateList.load(one.public_bytes(Encoding.DER)) for one in lists_about(known, crls)
        ],
        strict=False,
    )
    return out.getvalue()
