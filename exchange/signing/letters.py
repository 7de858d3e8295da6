# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person's signature on a letter (S/MIME): by keys that are approved by file only (decisions/0024).

A letter carries a signing-time, a PDF signature never does (`signed_attributes`), so neither stands for the other.
"""

from __future__ import annotations

from dataclasses import asdict

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from config.refusal import Refused
from exchange.signing import signed_attributes
from exchange.signing.keys import KeyStore
from exchange.signing.protocol import PersonApproval
from exchange.signing.requests import Values, octets, plain, text
from exchange.signing.uses import Uses

PURPOSE = "letter"


class LetterOperations:
    """Methods named ``op_<name>`` are the requests."""

    def __init__(self, store: KeyStore, uses: Uses) -> None:
        self._store = store
        self._uses = uses

    def op_sign_letter(self, request: Values) -> Values:
        """``address, approval, signed_attrs`` (with signing-time) → signature; the approval names the digest."""
        approval = PersonApproval(**plain(request, "approval"))
        address = text(request, "address").lower()
        attributes = octets(request, "signed_attrs")
        digest = signed_attributes.message_digest(attributes)
        signed_attributes.check(attributes, digest, with_time=True)
        key, mode = self._store.elliptic(f"person:{address}")
        if mode != "file" or approval.mode != mode:
            raise Refused(
                "letters-not-signed",
                f"Khóa này duyệt bằng {mode} cho từng văn bản; thư không ký bằng khóa này. Gửi thư không ký, hoặc ký văn bản.",
                f"This key is approved by {mode} for each document; letters are not signed with it. Send it unsigned, or "
                "sign a document.",
            )
        if (approval.by.lower(), approval.document, approval.purpose) != (address, digest.hex(), PURPOSE):
            raise Refused(
                "approval-incomplete",
                "Phê duyệt ký không phải cho lá thư này.",
                "The approval is not for this letter.",
            )
        use = self._uses.approve(
            "sign_letter",
            f"person:{address}",
            who=approval.by,
            purpose=PURPOSE,
            digest=digest.hex(),
            approval_id=approval.id,
            at=approval.at,
            mode=approval.mode,
        )
        return {"signature": key.sign(attributes, ec.ECDSA(hashes.SHA256())), "use": asdict(use)}
