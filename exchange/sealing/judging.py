# SPDX-License-Identifier: AGPL-3.0-or-later
"""The signer of a CMS or XML signature, judged: chain, moment, revocation (EN 319 102-1 §5.2.6).

These signatures carry no time-stamp of their own: the moment is what the signed content claims, never
later than now. A certificate revoked since then gives INDETERMINATE/REVOKED_NO_POE, because a claimed
moment proves nothing against the holder of a revoked key; the server passes the moment of arrival, which
its ledger proves, as ``proved_at``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from exchange.sealing import der
from exchange.trust.anchors import Anchors
from exchange.trust.chain import ChainResult, Usage, validate_chain
from exchange.trust.subject import subject_of
from exchange.trust.verdict import INDETERMINATE, PASSED, Outcome, SignatureVerdict

Sign: TypeAlias = Callable[[bytes], bytes]
"""Signs the bytes given with SHA-256: ECDSA in DER, or RSA PKCS#1 v1.5. The key stays with the signer."""

CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Judging:
    """What signatures are judged with. ``proved_at``: a moment proved otherwise (ledger, time-stamp)."""

    anchors: Anchors = Anchors()
    require_revocation: bool = False
    proved_at: datetime | None = None
    now: datetime | None = None

    def moment(self, claimed: datetime | None) -> datetime:
        """The moment to judge as of."""
        now = self.now or datetime.now(UTC)
        if self.proved_at is not None:
            return self.proved_at
        return min(claimed, now) if claimed is not None else now

    def chain(
        self,
        certificate: x509.Certificate,
        carried: Iterable[x509.Certificate],
        claimed: datetime | None,
        usage: Usage = "sign",
    ) -> ChainResult:
        """The chain as of that moment, lowered when the certificate was revoked since."""
        extra = list(carried)
        at = self.moment(claimed)
        result = validate_chain(
            certificate,
            extra,
            self.anchors,
            at,
            require_revocation=self.require_revocation,
            usage=usage,
        )
        if result.status != PASSED or self.proved_at is not None:
            return result
        later = validate_chain(certificate, extra, self.anchors, self.now or datetime.now(UTC), usage=usage)
        if later.sub_indication == "REVOKED":
            return ChainResult(INDETERMINATE, "REVOKED_NO_POE", "revoked", result.path)
        return result


@lru_cache(maxsize=2048)
def load_certificate(data: bytes) -> x509.Certificate:
    """A certificate (DER) from outside, with all that is read of it later read now. Raises ``ValueError``.

    `cryptography` parses lazily, and a damaged name, key or extension would raise anywhere. The frame
    around what is signed must be DER too (the count of unused bits is not covered by any signature).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(data)
            if certificate.serial_number < 1:
                raise ValueError("the serial number is not positive (RFC 5280 §4.1.2.2)")
        signed, signature = certificate.tbs_certificate_bytes, der.bits(certificate.signature)
        method = der.contents(data)[len(signed) : -len(signature)]
        if method not in signed or der.sequence(signed, method, signature) != data:
            raise ValueError("the certificate is not in DER")
        _ = (certificate.subject, certificate.issuer, certificate.serial_number, certificate.version)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        _ = (certificate.public_key(), certificate.extensions, certificate.signature_hash_algorithm)
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
        x509.DuplicateExtension,
    ) as problem:
        raise ValueError(str(problem)) from None
    return certificate


def signature_is_sound(
    certificate: x509.Certificate,
    data: bytes,
    signature: bytes,
    digest: hashes.HashAlgorithm | Prehashed,
    *,
    pss: bool = False,
) -> bool:
    """Whether the certificate's key made ``signature`` over ``data`` (with ``Prehashed``: over what it is of).

    ECDSA in DER, RSA PKCS#1 v1.5 or, when ``pss``, RSASSA-PSS with MGF1 of the same digest; Ed25519.
    """
    try:
        key = certificate.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey):
            plain = digest._algorithm if isinstance(digest, Prehashed) else digest
            form = padding.PSS(padding.MGF1(plain), padding.PSS.AUTO) if pss else padding.PKCS1v15()
            key.verify(signature, data, form, digest)
        elif isinstance(key, ed25519.Ed25519PublicKey) and not isinstance(digest, Prehashed):
            key.verify(signature, data)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def signature_verdict(
    certificate: x509.Certificate | None,
    outcome: Outcome,
    sub_indication: str,
    *,
    claimed: datetime | None = None,
    chain: ChainResult | None = None,
) -> SignatureVerdict:
    """The line of one signature in a verdict."""
    if certificate is None:
        return SignatureVerdict("", "", "organisation", "", outcome, sub_indication)
    subject = subject_of(certificate)
    return SignatureVerdict(
        signer=subject.name,
        organisation=subject.organisation,
        role=subject.role,
        time=claimed.isoformat(timespec="seconds") if claimed else "",
        verdict=outcome,
        sub_indication=sub_indication,
        revocation=chain.revocation if chain else "not-checked",
        authority=chain.authority if chain else "installation",
        certificate=certificate.public_bytes(serialization.Encoding.DER),
    )
