# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on a mail: an S/MIME signature whose holder must be the one in From (RFC 8551, DESIGN §5).

Only a signature over the whole content of the mail counts (``multipart/signed`` or an opaque
``application/pkcs7-mime`` at the top, also inside the mail's own encryption); one deeper inside covers what
a list put around it not at all.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses

from config.refusal import Refused
from exchange.sealing.enveloped import decrypt
from exchange.sealing.judging import Judging
from exchange.sealing.recipients import CannotOpen, Opener
from exchange.sealing.signed import CmsJudgement, verify_signed
from exchange.trust.subject import subject_of
from exchange.trust.verdict import (
    FAILED,
    INDETERMINATE,
    PASSED,
    UNREADABLE,
    UNSIGNED,
    Encryption,
    Verdict,
)

MAX_BYTES = 150_000_000
MAX_LAYERS = 3


class _Malformed(Exception):
    """The S/MIME structure is broken."""


def verify_mail(data: bytes, judging: Judging, openers: Sequence[Opener]) -> Verdict:
    """The verdict on a mail file; never raises for what the bytes are."""
    if len(data) > MAX_BYTES:
        return Verdict("mail", UNREADABLE, "the file is too large")
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    data = _crlf(data)
    sender = _sender(data.partition(b"\r\n\r\n")[0])
    encryption: Encryption = "none"
    try:
        for _ in range(MAX_LAYERS):
            head, _gap, body = data.partition(b"\r\n\r\n")
            headers = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
            kind = headers.get_content_type()
            smime = str(headers.get_param("smime-type") or "").lower()
            if kind == "multipart/signed":
                return _named(_detached(headers, body, judging), sender, encryption)
            if kind not in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
                break
            cms = _decoded(headers, body)
            if smime == "signed-data":
                return _named(verify_signed(cms, None, judging), sender, encryption)
            if not openers:
                why = "no key given: the content is encrypted and was not checked"
                return Verdict("mail", INDETERMINATE, why, encryption="failed")
            data, encryption = _crlf(decrypt(cms, openers).content), "decrypted"
    except CannotOpen as problem:
        return Verdict("mail", INDETERMINATE, problem.en, encryption="failed")
    except _Malformed as problem:
        return _broken(str(problem), encryption)
    except Refused as problem:
        return _broken(problem.en, encryption)
    return Verdict("mail", UNSIGNED, "the mail has no S/MIME signature", encryption=encryption)


def _broken(why: str, encryption: Encryption) -> Verdict:
    return Verdict("mail", FAILED, why, encryption=encryption, sub_indication="FORMAT_FAILURE")


def _named(judgement: CmsJudgement, sender: str, encryption: Encryption) -> Verdict:
    """The verdict when the signer must be ``sender`` (lower case; "" when From names not exactly one)."""
    outcome, sub = judgement.outcome, judgement.sub_indication
    lines = judgement.signatures
    official = False
    if judgement.certificate is not None:
        subject = subject_of(judgement.certificate)
        if outcome == PASSED and (not sender or sender not in subject.addresses):
            outcome, sub = FAILED, "SIGNER_IS_NOT_SENDER"
            lines = (replace(lines[0], verdict=outcome, sub_indication=sub), *lines[1:])
        official = outcome == PASSED and bool(subject.organisation)
    return Verdict(
        "mail",
        outcome,
        sub,
        encryption=encryption,
        official=official,
        signatures=lines,
        sub_indication=sub,
    )


def _detached(headers: Message, body: bytes, judging: Judging) -> CmsJudgement:
    boundary = headers.get_boundary()
    protocol = str(headers.get_param("protocol") or "").lower()
    if not boundary or "pkcs7-signature" not in protocol:
        raise _Malformed("multipart/signed is not S/MIME")
    mark = b"\r\n--" + boundary.encode("ascii", "replace")
    pieces = re.split(re.escape(mark) + rb"(?=[ \t]*\r\n|--)", b"\r\n" + body)
    if len(pieces) != 4 or not pieces[3].startswith(b"--"):
        raise _Malformed("multipart/signed does not have two parts")
    signed_part = pieces[1].partition(b"\r\n")[2]
    head, _, content = pieces[2].partition(b"\r\n")[2].partition(b"\r\n\r\n")
    part = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
    if part.get_content_type() not in ("application/pkcs7-signature", "application/x-pkcs7-signature"):
        raise _Malformed("the second part is no signature")
    return verify_signed(_decoded(part, content), signed_part, judging)


def _decoded(headers: Message, body: bytes) -> bytes:
    encoding = str(headers.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    if encoding != "base64":
        return body
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Malformed("the base64 is broken") from None


def _sender(head: bytes) -> str:
    """The one address in From, lower case; "" when there is not exactly one."""
    headers = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
    found = headers.get_all("From", [])
    addresses = getaddresses([str(one) for one in found])
    return addresses[0][1].lower() if len(found) == 1 and len(addresses) == 1 else ""


def _crlf(data: bytes) -> bytes:
    """The canonical line ends that signatures are made over."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
