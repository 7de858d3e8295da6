# SPDX-License-Identifier: AGPL-3.0-or-later
"""A time-stamp authority (RFC 3161, tokens as RFC 5816): requests in, signed tokens out.

DER is written by hand: building a token with asn1crypto costs 30 ms, this costs well under one.
Requests are read with asn1crypto.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

POLICY = "1.3.6.1.4.1.32473.4.16.1"
"""Our time-stamp policy (RFC 5612 example arc)."""
MAX_REQUEST = 4096
ACCURACY_SECONDS = 1

_DIGESTS = {
    "sha256": ("2.16.840.1.101.3.4.2.1", 32),
    "sha384": ("2.16.840.1.101.3.4.2.2", 48),
    "sha512": ("2.16.840.1.101.3.4.2.3", 64),
}
_BAD_ALGORITHM, _BAD_REQUEST, _BAD_FORMAT, _NO_POLICY, _NO_EXTENSION = 0, 2, 5, 15, 16


class BadRequest(Exception):
    """A request that is answered with a rejection; ``failure`` is the bit of PKIFailureInfo."""

    def __init__(self, failure: int) -> None:
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """Signs what it is asked to. ``next_serial`` gives a number never given before."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    next_serial: Callable[[], int]

    def answer(self, request: bytes) -> bytes:
        """The TimeStampResp (DER) to a TimeStampReq (DER): granted, or rejected with its reason."""
        try:
            algorithm, imprint, nonce, with_certificates = _read_request(request)
        except BadRequest as problem:
            failure = bytearray(problem.failure // 8 + 1)
            failure[-1] = 0x80 >> problem.failure % 8
            unused = 7 - problem.failure % 8
            return _seq(_seq(_int(2) + _tlv(0x03, bytes([unused]) + bytes(failure))))
        token = self.token(imprint, algorithm, nonce=nonce, with_certificates=with_certificates)
        return _seq(_seq(_int(0)) + token)

    def token(
        self,
        imprint: bytes,
        algorithm: str = "sha256",
        *,
        nonce: int | None = None,
        with_certificates: bool = True,
    ) -> bytes:
        """A time-stamp token (a CMS ContentInfo, DER) over a digest. Raises `BadRequest`."""
        if algorithm not in _DIGESTS or len(imprint) != _DIGESTS[algorithm][1]:
            raise BadRequest(_BAD_ALGORITHM)
        moment = datetime.now(UTC)
        info = _seq(
            _int(1)
            + _oid(POLICY)
            + _seq(_algorithm(algorithm) + _tlv(0x04, imprint))
            + _int(self.next_serial())
            + _tlv(0x18, _generalized(moment))
            + _seq(_int(ACCURACY_SECONDS))
            + (_int(nonce) if nonce is not None else b"")
        )
        attributes = self._attributes(info)
        signature = self.key.sign(_tlv(0x31, attributes), ec.ECDSA(hashes.SHA256()))
        signer = _seq(
            _int(1)
            + _seq(self.certificate.issuer.public_bytes() + _int(self.certificate.serial_number))
            + _algorithm("sha256")
            + _tlv(0xA0, attributes)
            + _seq(_oid("1.2.840.10045.4.3.2"))
            + _tlv(0x04, signature)
        )
        shown = (self.certificate, *self.chain) if with_certificates else ()
        certificates = b"".join(sorted(one.public_bytes(Encoding.DER) for one in shown))
        signed = _seq(
            _int(3)
            + _tlv(0x31, _algorithm("sha256"))
            + _seq(_oid(_TST_INFO) + _tlv(0xA0, _tlv(0x04, info)))
            + (_tlv(0xA0, certificates) if certificates else b"")
            + _tlv(0x31, signer)
        )
        return _seq(_oid("1.2.840.113549.1.7.2") + _tlv(0xA0, signed))

    def _attributes(self, info: bytes) -> bytes:
        own = hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).digest()
        signing_certificate = _seq(_seq(_seq(_tlv(0x04, own))))
        return b"".join(
            sorted(
                (
                    _attribute("1.2.840.113549.1.9.3", _oid(_TST_INFO)),
                    _attribute("1.2.840.113549.1.9.4", _tlv(0x04, hashlib.sha256(info).digest())),
                    _attribute("1.2.840.113549.1.9.16.2.47", signing_certificate),
                )
            )
        )


_TST_INFO = "1.2.840.113549.1.9.16.1.4"


def _read_request(request: bytes) -> tuple[str, bytes, int | None, bool]:
    if len(request) > MAX_REQUEST:
        raise BadRequest(_BAD_FORMAT)
    try:
        read = tsp.TimeStampReq.load(request, strict=True)
        algorithm = read["message_imprint"]["hash_algorithm"]["algorithm"].native
        imprint = read["message_imprint"]["hashed_message"].native
        nonce, policy = read["nonce"].native, read["req_policy"].native
        version, with_certificates = read["version"].native, bool(read["cert_req"].native)
        extensions = read["extensions"].native
    except (ValueError, TypeError, KeyError):
        raise BadRequest(_BAD_FORMAT) from None
    if version != "v1":
        raise BadRequest(_BAD_REQUEST)
    if algorithm not in _DIGESTS:
        raise BadRequest(_BAD_ALGORITHM)
    if not isinstance(imprint, bytes) or len(imprint) != _DIGESTS[algorithm][1]:
        raise BadRequest(_BAD_FORMAT)
    if policy is not None and policy != POLICY:
        raise BadRequest(_NO_POLICY)
    if extensions:
        raise BadRequest(_NO_EXTENSION)
    return algorithm, imprint, nonce, with_certificates


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _seq(content: bytes) -> bytes:
    return _tlv(0x30, content)


def _int(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(one) for one in dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return _tlv(0x06, bytes(out))


def _algorithm(name: str) -> bytes:
    return _seq(_oid(_DIGESTS[name][0]))


def _attribute(oid: str, value: bytes) -> bytes:
    return _seq(_oid(oid) + _tlv(0x31, value))


def _generalized(moment: datetime) -> bytes:
    """GeneralizedTime with milliseconds and no trailing zeros (RFC 3161 §2.4.2)."""
    text = moment.strftime("%Y%m%d%H%M%S")
    fraction = f"{moment.microsecond // 1000:03}".rstrip("0")
    return f"{text}.{fraction}Z".encode() if fraction else f"{text}Z".encode()
