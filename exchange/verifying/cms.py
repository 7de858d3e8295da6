# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on a CMS file (``.p7m``, ``.p7s``), of any size: encryption, the signature inside it."""

from __future__ import annotations

from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path

from config.durable import write_durably
from config.refusal import Refused
from exchange.sealing import der
from exchange.sealing.enveloped import AUTH_ENVELOPED, ENVELOPED, decrypt
from exchange.sealing.judging import Judging
from exchange.sealing.mail_parts import Malformed, decoded, headers_of, two_parts
from exchange.sealing.recipients import CannotOpen, Opener
from exchange.sealing.sealed_file import begins_multipart_signed, unseal_file
from exchange.sealing.signed import SIGNED_DATA, CmsJudgement, verify_signed, verify_stream
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, UNREADABLE, UNSIGNED, Encryption, Verdict
from exchange.verifying.second import heard

_BEGINNING = 64
_LARGEST_PART = 150_000_000


def is_cms(head: bytes) -> bool:
    """Whether a file that begins so is a CMS of a kind we know."""
    named = (der.oid(one) for one in (SIGNED_DATA, AUTH_ENVELOPED, ENVELOPED))
    return head[:1] == b"\x30" and any(one in head[2:_BEGINNING] for one in named)


def verify_cms(
    source: BufferedIOBase,
    judging: Judging,
    openers: Sequence[Opener] = (),
    *,
    content: BufferedIOBase | None = None,
    output: Path | None = None,
) -> Verdict:
    """The verdict; ``content``: what a detached signature is over; ``output``: where opened content goes."""
    encryption: Encryption = "none"
    head = source.read(_BEGINNING)
    source.seek(0)
    try:
        if der.oid(SIGNED_DATA) in head:
            return _of(heard(verify_stream(source, content, judging), judging), encryption)
        if not openers:
            why = "no key given: the content is encrypted and was not checked"
            return Verdict("cms", INDETERMINATE, why, encryption="failed")
        encryption = "failed"
        _, judgement = unseal_file(source, output, openers, judging)
        if judgement.outcome != UNSIGNED:
            return _of(heard(judgement, judging), "decrypted")
        source.seek(0)
        return _of_mail_part(source, openers, judging, output)
    except CannotOpen as problem:
        return Verdict("cms", INDETERMINATE, problem.en, encryption="failed")
    except Refused as problem:
        return Verdict("cms", UNREADABLE, problem.en, encryption=encryption)


def _of_mail_part(
    source: BufferedIOBase, openers: Sequence[Opener], judging: Judging, output: Path | None
) -> Verdict:
    """The content is no SignedData: a ``multipart/signed`` as our packets hold, or not signed at all."""
    unsigned = Verdict("cms", UNSIGNED, "the content is not signed", encryption="decrypted")
    data = source.read(_LARGEST_PART + 1)
    if len(data) > _LARGEST_PART:
        return unsigned
    content = decrypt(data, openers).content
    if not begins_multipart_signed(content[:_BEGINNING]):
        return unsigned
    head, _, body = content.partition(b"\r\n\r\n")
    try:
        signed_part, part, signature = two_parts(headers_of(head), body)
    except Malformed:
        return Verdict("cms", UNREADABLE, "multipart/signed is damaged", encryption="decrypted")
    judgement = heard(verify_signed(decoded(part, signature), signed_part, judging), judging)
    verdict = _of(judgement, "decrypted")
    if output is not None and verdict.verdict != FAILED:
        write_durably(output, content, mode=0o600)
    return verdict


def _of(judgement: CmsJudgement, encryption: Encryption) -> Verdict:
    official = False
    if judgement.outcome == PASSED and judgement.certificate is not None:
        public = any(one.authority == "public" for one in judgement.signatures)
        official = subject_of(judgement.certificate).role == "organisation" and not public
    return Verdict(
        "cms",
        judgement.outcome,
        judgement.sub_indication,
        encryption=encryption,
        official=official,
        signatures=judgement.signatures,
        sub_indication=judgement.sub_indication,
    )
