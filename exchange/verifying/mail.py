# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on a mail: a signature whose holder must be the one in From (RFC 8551, RFC 3156, DESIGN §5).

Only a signature over the whole content of the mail counts (``multipart/signed`` or an opaque one at the top, also
inside the mail's own encryption); one deeper inside covers what a list put around it not at all. What the payload
repeats of the header (RFC 9788) is what counts: a From that differs is a forgery, another field a remark.

Of what was encrypted without a tag (AES-CBC) nothing may be rendered as HTML unless a signature in it stands
(EFAIL); of what could not be opened, and of a signed content that was altered, nothing is given out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.message import Message

from config.refusal import Refused
from exchange.sealing.enveloped import decrypt
from exchange.sealing.judging import Judging
from exchange.sealing.mail_parts import (
    Malformed,
    crlf,
    decoded,
    headers_of,
    protected_fields,
    sender_of,
    two_parts,
)
from exchange.sealing.openpgp import OpenPgp, PgpSignature
from exchange.sealing.openpgp_wire import dearmour
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
    Outcome,
    SignatureVerdict,
    Verdict,
    worst,
)
from exchange.verifying.second import heard

MAX_BYTES = 150_000_000
MAX_LAYERS = 3


@dataclass(frozen=True, slots=True)
class ReadMail:
    """The verdict; ``payload``: the entity (with its protected header) to show instead of the mail, when there is one.

    ``html``: whether HTML in it may be rendered.
    """

    verdict: Verdict
    payload: bytes | None = None
    html: bool = True


@dataclass(frozen=True, slots=True)
class _Signed:
    """What a signature said, before the names are compared."""

    outcome: Outcome
    sub_indication: str
    signatures: tuple[SignatureVerdict, ...]
    addresses: tuple[str, ...]
    official: bool
    payload: bytes


def verify_mail(
    data: bytes, judging: Judging, openers: Sequence[Opener] = (), gpg: OpenPgp | None = None
) -> Verdict:
    """The verdict on a mail file; never raises for what the bytes are."""
    return read_mail(data, judging, openers, gpg).verdict


def read_mail(
    data: bytes,
    judging: Judging,
    openers: Sequence[Opener] = (),
    gpg: OpenPgp | None = None,
    unwrap: Callable[[bytes], bytes] | None = None,
) -> ReadMail:
    """The verdict and what may be shown. ``gpg`` holds the OpenPGP keys that count.

    ``unwrap`` gives the session key of an OpenPGP message in octets, when the private key is not in ``gpg``.
    """
    if len(data) > MAX_BYTES:
        return ReadMail(Verdict("mail", UNREADABLE, "the file is too large"))
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    data = crlf(data)
    outer = data.partition(b"\r\n\r\n")[0]
    encryption: Encryption = "none"
    tagged = True
    try:
        for _ in range(MAX_LAYERS):
            head, _gap, body = data.partition(b"\r\n\r\n")
            headers = headers_of(head)
            kind = headers.get_content_type()
            smime = str(headers.get_param("smime-type") or "").lower()
            if kind == "multipart/signed":
                return _named(_detached(headers, body, judging, gpg), outer, encryption)
            if kind == "multipart/encrypted":
                found = _pgp_opened(headers, body, gpg, unwrap)
                if found is None:
                    return _shut()
                data, signed = found
                encryption = "decrypted"
                if signed is not None:
                    return _named(signed, outer, encryption)
                continue
            if kind not in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
                break
            cms = decoded(headers, body)
            if smime == "signed-data":
                judgement = heard(verify_signed(cms, None, judging), judging)
                return _named(_of_cms(judgement, crlf(judgement.content or b"")), outer, encryption)
            if not openers:
                return _shut()
            opened = decrypt(cms, openers)
            data, encryption, tagged = crlf(opened.content), "decrypted", opened.authenticated
    except CannotOpen as problem:
        return ReadMail(Verdict("mail", INDETERMINATE, problem.en, encryption="failed"))
    except Malformed as problem:
        return _broken(str(problem), encryption)
    except Refused as problem:
        return _broken(problem.en, encryption)
    verdict = Verdict("mail", UNSIGNED, "the mail has no signature", encryption=encryption)
    return ReadMail(verdict, data if encryption == "decrypted" else None, html=tagged)


def _shut() -> ReadMail:
    why = "no key given: the content is encrypted and was not checked"
    return ReadMail(Verdict("mail", INDETERMINATE, why, encryption="failed"))


def _broken(why: str, encryption: Encryption) -> ReadMail:
    return ReadMail(Verdict("mail", FAILED, why, encryption=encryption, sub_indication="FORMAT_FAILURE"))


def _named(signed: _Signed, outer: bytes, encryption: Encryption) -> ReadMail:
    """The verdict when the signer must be the one address in From, outside and (when repeated) inside."""
    outcome, sub, lines = signed.outcome, signed.sub_indication, signed.signatures
    sender = sender_of(outer)
    protected = protected_fields(signed.payload, outer)
    inside = protected.sender if protected is not None else sender
    if outcome == PASSED and (not sender or sender != inside or sender not in signed.addresses):
        outcome, sub = FAILED, "SIGNER_IS_NOT_SENDER"
        lines = (replace(lines[0], verdict=outcome, sub_indication=sub), *lines[1:])
    stands = outcome != FAILED
    verdict = Verdict(
        "mail",
        outcome,
        sub,
        encryption=encryption,
        official=outcome == PASSED and signed.official,
        signatures=lines,
        fields=protected.shown if protected is not None and stands else None,
        problems=protected.problems if protected is not None and stands else None,
        sub_indication=sub,
    )
    return ReadMail(verdict, signed.payload if stands else None, html=outcome == PASSED)


def _detached(headers: Message, body: bytes, judging: Judging, gpg: OpenPgp | None) -> _Signed:
    protocol = str(headers.get_param("protocol") or "").lower()
    signed_part, part, content = two_parts(headers, body)
    kind = part.get_content_type()
    if "pkcs7-signature" in protocol and kind in (
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    ):
        cms = decoded(part, content)
        return _of_cms(heard(verify_signed(cms, signed_part, judging), judging), signed_part)
    if protocol == "application/pgp-signature" and kind == protocol:
        found = gpg.verify(signed_part, decoded(part, content)) if gpg is not None else ()
        return _of_pgp(found, signed_part)
    raise Malformed("multipart/signed is neither S/MIME nor OpenPGP")


def _pgp_opened(
    headers: Message, body: bytes, gpg: OpenPgp | None, unwrap: Callable[[bytes], bytes] | None
) -> tuple[bytes, _Signed | None] | None:
    """What a PGP/MIME message holds, with the signature made together with it; ``None`` without keys."""
    if str(headers.get_param("protocol") or "").lower() != "application/pgp-encrypted":
        raise Malformed("multipart/encrypted is not OpenPGP")
    _, part, content = two_parts(headers, body)
    if gpg is None:
        return None
    message = decoded(part, content)
    key = unwrap(dearmour(message)) if unwrap is not None else b""
    opened = gpg.decrypt(message, session_key=key)
    payload = crlf(opened.content)
    return payload, _of_pgp(opened.signatures, payload) if opened.signatures else None


def _of_cms(judgement: CmsJudgement, payload: bytes) -> _Signed:
    addresses: tuple[str, ...] = ()
    official = False
    if judgement.certificate is not None:
        subject = subject_of(judgement.certificate)
        public = any(one.authority == "public" for one in judgement.signatures)
        addresses, official = subject.addresses, bool(subject.organisation) and not public
    return _Signed(
        judgement.outcome, judgement.sub_indication, judgement.signatures, addresses, official, payload
    )


def _of_pgp(found: Sequence[PgpSignature], payload: bytes) -> _Signed:
    """An OpenPGP key says whose address it is, not whose office: such a mail is never official."""
    if not found:
        return _Signed(INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND", (), (), False, payload)
    outcome = worst(one.verdict.verdict for one in found)
    sub = next((one.verdict.sub_indication for one in found if one.verdict.verdict == outcome), "")
    lines = tuple(one.verdict for one in found)
    return _Signed(outcome, sub, lines, found[0].addresses, False, payload)
