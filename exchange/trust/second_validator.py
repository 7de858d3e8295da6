# SPDX-License-Identifier: AGPL-3.0-or-later
"""A second validator beside the first: two programs with little in common must say the same.

PDF: the first is pyHanko's arithmetic with our chain; beside it stand our own CMS reading over the bytes that the
ByteRange names, and pyHanko's own chain. CMS: the first is ours, beside it stands pyHanko with its chain. Where
one does not pass what the other passes, both answers are recorded and the signature is INDETERMINATE/
VALIDATORS_DISAGREE: a flaw in one validator alone never makes a false signature pass.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from asn1crypto import cms
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.validation.generic_cms import async_validate_cms_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext

from exchange.sealing.ber import Node
from exchange.sealing.signed import read_signed
from exchange.sealing.signer_info import DIGESTS, Content, certificate_of, check
from exchange.trust.anchors import Anchors
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, Outcome, SignatureVerdict

log = logging.getLogger("congvan.trust")
T = TypeVar("T")
OWN, PYHANKO = "congvan", "pyhanko"
_USAGE = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False)
_DATA = "1.2.840.113549.1.7.1"


def pyhanko_says(
    signed_data: cms.SignedData, digest: bytes | None, anchors: Anchors, at: datetime
) -> tuple[str, Outcome]:
    """pyHanko's answer as of ``at``, with its own chain and the revocation lists we have; offline.

    ``digest``: of the content; ``None`` when it is inside.
    """
    try:
        context = ValidationContext(
            trust_roots=[_asn1(one) for one in anchors.roots],
            other_certs=[_asn1(one) for one in anchors.intermediates[:64]],
            crls=[asn1_crl.CertificateList.load(one.public_bytes(Encoding.DER)) for one in anchors.crls[:64]],
            moment=at,
            allow_fetching=False,
            revocation_mode="soft-fail",
        )
        status = _finished(
            async_validate_cms_signature(
                signed_data, raw_digest=digest, validation_context=context, key_usage_settings=_USAGE
            )
        )
    except Exception:
        log.info("pyHanko could not judge a signature", exc_info=True)
        return PYHANKO, INDETERMINATE
    if not (status.intact and status.valid):
        return PYHANKO, FAILED
    return PYHANKO, PASSED if status.trusted else INDETERMINATE


def pyhanko_on_signer(
    info: bytes,
    kind: str,
    digests: Mapping[str, bytes],
    certificates: Iterable[bytes | x509.Certificate],
    anchors: Anchors,
    at: datetime,
) -> tuple[str, Outcome]:
    """pyHanko's answer on one SignerInfo over a content of type ``kind`` with these ``digests`` by name.

    It reads one signer at a time: each gets a SignedData of its own, without the content.
    """
    try:
        signer = cms.SignerInfo.load(info)
        algorithm = signer["digest_algorithm"]
        signed_data = cms.SignedData(
            {
                "version": "v1" if signer["sid"].name == "issuer_and_serial_number" else "v3",
                "digest_algorithms": [algorithm],
                "encap_content_info": {"content_type": kind},
                "certificates": [_asn1(one) for one in dict.fromkeys(map(_der, certificates))],
                "signer_infos": [signer],
            }
        )
        digest = digests[algorithm["algorithm"].native]
    except Exception:
        log.info("pyHanko could not read a CMS", exc_info=True)
        return PYHANKO, INDETERMINATE
    return pyhanko_says(signed_data, digest, anchors, at)


def own_says(data: bytes, content: Iterable[bytes | memoryview]) -> tuple[str, Outcome]:
    """Our own reading of a CMS over ``content``: digest, signature value, binding of the certificate."""
    try:
        signed = read_signed(io.BytesIO(Node(data).raw))  # a PDF pads it with zeros
        (info,) = signed.infos
        certificate = certificate_of(info, signed.carried)
        if certificate is None:
            return OWN, INDETERMINATE
        name = DIGESTS.get(info.digest, "sha256")
        digest = hashlib.new(name)
        for piece in content:
            digest.update(piece)
        _, sub = check(info, Content(_DATA, {name: digest.digest()}, b""), certificate)
    except Exception:
        log.info("a CMS could not be read", exc_info=True)
        return OWN, INDETERMINATE
    if sub == "CRYPTO_CONSTRAINTS_FAILURE":
        return OWN, INDETERMINATE
    return OWN, FAILED if sub else PASSED


def compared(verdict: SignatureVerdict, opinions: Iterable[tuple[str, Outcome]]) -> SignatureVerdict:
    """The verdict with what the others said; INDETERMINATE when it passed and one of them did not agree."""
    said = tuple(opinions)
    if verdict.verdict == PASSED and any(outcome != PASSED for _, outcome in said):
        verdict = replace(verdict, verdict=INDETERMINATE, sub_indication="VALIDATORS_DISAGREE")
    return replace(verdict, opinions=said)


def _asn1(certificate: x509.Certificate | bytes) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(_der(certificate))


def _der(certificate: x509.Certificate | bytes) -> bytes:
    return certificate if isinstance(certificate, bytes) else certificate.public_bytes(Encoding.DER)


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for: it never leaves this thread or the machine."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("the validator wanted to wait for something")
