# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on an OpenPGP file: a message (armour), or a detached signature with what it is over."""

from __future__ import annotations

from collections.abc import Sequence

from config.refusal import Refused
from exchange.sealing.openpgp import OpenPgp, PgpSignature
from exchange.sealing.recipients import CannotOpen
from exchange.trust.verdict import INDETERMINATE, UNREADABLE, UNSIGNED, Encryption, Verdict, worst

_MESSAGE, _SIGNATURE = b"-----BEGIN PGP MESSAGE-----", b"-----BEGIN PGP SIGNATURE-----"


def is_openpgp(head: bytes) -> bool:
    """Whether a file that begins so is an armoured message or detached signature."""
    return head.lstrip().startswith((_MESSAGE, _SIGNATURE))


def verify_openpgp(
    data: bytes, keys: Sequence[bytes], content: bytes | None = None
) -> tuple[Verdict, bytes | None]:
    """The verdict, and what the message held when it was opened. ``keys``: armour of the keys that count."""
    detached = data.lstrip().startswith(_SIGNATURE)
    if detached and content is None:
        return Verdict("openpgp", UNREADABLE, "there is no content to check against"), None
    if not keys:
        why = "no key given: it was not checked"
        return Verdict("openpgp", INDETERMINATE, why, encryption="none" if detached else "failed"), None
    try:
        with OpenPgp.temporary(keys) as gpg:
            if detached and content is not None:
                return _of(gpg.verify(content, data), "none", INDETERMINATE), None
            opened = gpg.decrypt(data)
            verdict = _of(opened.signatures, "decrypted", UNSIGNED)
            return verdict, opened.content if verdict.verdict != "TOTAL-FAILED" else None
    except CannotOpen as problem:
        return Verdict("openpgp", INDETERMINATE, problem.en, encryption="failed"), None
    except Refused as problem:
        return Verdict("openpgp", UNREADABLE, problem.en), None


def _of(found: Sequence[PgpSignature], encryption: Encryption, without: str) -> Verdict:
    """An OpenPGP key names an address, not an office: never official."""
    lines = tuple(one.verdict for one in found)
    if not lines:
        sub = "NO_SIGNING_CERTIFICATE_FOUND" if without == INDETERMINATE else ""
        outcome = INDETERMINATE if without == INDETERMINATE else UNSIGNED
        return Verdict("openpgp", outcome, sub, encryption=encryption, sub_indication=sub)
    outcome = worst(one.verdict for one in lines)
    sub = next((one.sub_indication for one in lines if one.verdict == outcome), "")
    return Verdict("openpgp", outcome, sub, encryption=encryption, signatures=lines, sub_indication=sub)
