# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document in hand: its reference and its open key, while moves are made on it.

The key is opened by the signer for the work (not recorded as “opened by” a person, which is
`exchange.documents.opening`) and lives in memory only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from config.refusal import Refused, Unavailable
from exchange.documents import files, records
from exchange.documents.model import Document, DocumentRef, StoredFile
from exchange.exchange import Exchange
from exchange.sealing.judging import Judging
from exchange.sealing.recipients import Opener, agreement_of
from exchange.signing.keys import key_mark
from exchange.signing.protocol import Use
from mailserver.accounts import Agency


@dataclass(frozen=True, slots=True)
class Work:
    """A document's reference and its key (32 bytes)."""

    ref: DocumentRef
    key: bytes = field(repr=False)


def take_up(exchange: Exchange, ref: DocumentRef, who: str) -> Work:
    """Have the signer open the document's key for work by ``who``. Raises `Refused`, `Unavailable`."""
    document = load(exchange, ref)
    opened = exchange.document_key(document.fields.key_code, document.wrapped_key, "receive", who)
    return Work(ref, opened.key)


def load(exchange: Exchange, ref: DocumentRef) -> Document:
    """The document as it stands now."""
    with exchange.database.reading() as conn:
        return records.get(conn, exchange.seal, ref)


def content(exchange: Exchange, work: Work, role: str) -> tuple[StoredFile, bytes]:
    """The newest file of ``role`` with its bytes."""
    with exchange.database.reading() as conn:
        stored = files.newest(conn, exchange.seal, work.ref, role)
    return stored, exchange.files.read(work.key, stored)


def judging(exchange: Exchange) -> Judging:
    """How the server judges signatures: our anchors, revocation always required, nothing fetched."""
    return Judging(exchange.trust.anchors(), require_revocation=True)


class Unwrapping:
    """Opens packets with an agency's key in the signer and remembers what the signer said.

    Opening a packet answers every failure alike; `check` afterwards tells a signer that was down apart
    from a packet that is not for us.
    """

    def __init__(self, exchange: Exchange, agency: Agency, purpose: str, who: str = "") -> None:
        """``purpose``: ``receive`` on arrival, ``open`` for a person (``who``)."""
        certificates = exchange.trust.encryption_certificates_of_agency(agency.code)
        if not certificates:
            raise Refused(
                "no-encryption-certificate",
                f"{agency.name} chưa có chứng thư mã hóa.",
                f"{agency.name} has no encryption certificate.",
            )
        self.uses: list[Use] = []
        self._problem: Unavailable | None = None

        def unwrap(info: bytes, certificate: x509.Certificate) -> bytes:
            one = agreement_of(info, certificate)
            public = certificate.public_key()
            mark = key_mark(public) if isinstance(public, ec.EllipticCurvePublicKey) else ""
            try:
                opened = exchange.signer.unwrap(
                    agency.code,
                    purpose,
                    originator=one.originator,
                    shared_info=one.shared_info,
                    wrapped=one.wrapped,
                    kdf=one.kdf,
                    wrap_bits=one.wrap_bits,
                    who=who,
                    key=mark,
                )
            except Unavailable as problem:
                self._problem = problem
                raise
            self.uses.append(opened.use)
            return opened.key

        self.openers = [Opener(one, partial(unwrap, certificate=one)) for one in certificates]
        """One for each certificate of the agency, those that went out of use too."""

    def check(self) -> None:
        """Raise `Unavailable` when the signer could not be asked."""
        if self._problem is not None:
            raise self._problem
