# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on a packet mail: encryption, the organisation's CMS, the XML signature, each PDF, receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509

from config.refusal import Refused
from exchange.edxml.attachments import unpack
from exchange.edxml.codes import to_new_code
from exchange.edxml.model import DocumentPacket, Packet
from exchange.receipts.verify import verify_receipt
from exchange.sealing.judging import Judging
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.openpgp_form import is_openpgp_mail, read_openpgp_mail
from exchange.sealing.openpgp_packet import open_openpgp_packet
from exchange.sealing.packet import OpenedPacket, open_packet
from exchange.sealing.packet_form import PacketBroken, read_mail
from exchange.sealing.recipients import CannotOpen, Opener
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, UNREADABLE, UNSIGNED, Outcome, Verdict
from exchange.verifying.edxml import verify_edxml
from exchange.verifying.layers import Layer, decisive
from exchange.verifying.pdf import verify_pdf
from exchange.verifying.second import heard_on_packet
from policy.ledger.checkpoint import Key


def verify_packet(
    data: bytes,
    judging: Judging,
    openers: Sequence[Opener],
    known_logs: Sequence[Key] = (),
    pgp_keys: Sequence[bytes] = (),
    session_key: bytes = b"",
) -> tuple[Verdict, OpenedPacket | None]:
    """The verdict on a packet mail, and the packet when it could be opened.

    One in OpenPGP form is opened with a private key in ``pgp_keys`` or with ``session_key`` (from an evidence file).
    """
    try:
        if is_openpgp_mail(data):
            return _openpgp(data, judging, known_logs, pgp_keys, session_key)
        read_mail(data)
        if not openers:
            why = "no key given: the content is encrypted and was not checked"
            return Verdict("packet", INDETERMINATE, why, encryption="failed"), None
        opened = heard_on_packet(open_packet(data, openers, judging), judging)
    except CannotOpen as problem:
        return Verdict("packet", INDETERMINATE, problem.en, encryption="failed"), None
    except PacketBroken as problem:
        return Verdict("packet", FAILED, problem.en, encryption="failed", sub_indication="HASH_FAILURE"), None
    except Refused as problem:
        return Verdict("packet", UNREADABLE, problem.en, encryption="failed"), None
    return judge_opened(opened, judging, known_logs), opened


def _openpgp(
    data: bytes, judging: Judging, known_logs: Sequence[Key], keys: Sequence[bytes], session_key: bytes
) -> tuple[Verdict, OpenedPacket | None]:
    read_openpgp_mail(data)
    if not keys and not session_key:
        why = "no key given: the content is encrypted and was not checked"
        return Verdict("packet", INDETERMINATE, why, encryption="failed"), None
    with OpenPgp.temporary(keys) as gpg:
        unwrap = (lambda _message: session_key) if session_key else None
        opened = open_openpgp_packet(data, unwrap, gpg, judging.now)
    return judge_opened(opened, judging, known_logs), opened


def judge_opened(opened: OpenedPacket, judging: Judging, known_logs: Sequence[Key] = ()) -> Verdict:
    """The verdict on all layers of an opened packet; the reason names the first that does not stand."""
    edxml, reading = verify_edxml(opened.edxml, judging)
    cms = opened.signature
    seal = Verdict("packet", cms.outcome, cms.sub_indication, sub_indication=cms.sub_indication)
    layers: list[Layer] = [(opened.form, seal), ("edXML", edxml)]
    if opened.openpgp and edxml.verdict == UNSIGNED:
        layers.pop()  # who has no certificate can't sign it; OpenPGP covers it
    if reading is not None:
        layers += _files(reading.packet, judging)
        layers.append(("From", _same_agency(opened, reading.packet)))
    layers += [(name, verify_receipt(data, judging, known_logs)) for name, data in opened.receipts]
    outcome, reason, sub = decisive(layers)
    signatures = (*cms.signatures, *(line for _, verdict in layers[1:] for line in verdict.signatures))
    return Verdict(
        "packet",
        outcome,
        reason,
        encryption="decrypted",
        official=outcome == PASSED and all(layer.official for _, layer in layers[1:]),
        signatures=signatures,
        fields=edxml.fields,
        problems=edxml.problems,
        sub_indication=sub,
    )


def _files(packet: Packet, judging: Judging) -> list[Layer]:
    """The verdicts on the PDFs; another kind of file has no signature of its own to judge."""
    if not isinstance(packet, DocumentPacket):
        return []
    found: list[Layer] = []
    for attachment in packet.attachments:
        content = unpack(attachment)
        if content.found_type != "application/pdf":
            continue
        verdict = verify_pdf(content.data, judging)
        codes = {
            subject_of(x509.load_der_x509_certificate(line.certificate)).code
            for line in verdict.signatures
            if line.role == "organisation" and line.certificate
        }
        own = any(not _differs(code, packet) for code in codes if code)  # beside others: issued jointly
        if verdict.passed and not own and any(codes):
            verdict = Verdict(
                "pdf",
                FAILED,
                "SEAL_OF_OTHER_AGENCY",
                signatures=verdict.signatures,
                sub_indication="SEAL_OF_OTHER_AGENCY",
            )
        found.append((content.name, verdict))
    if any(one.official for _, one in found):
        found = [(name, replace(one, official=one.official or one.attachment)) for name, one in found]
    return found


def _same_agency(opened: OpenedPacket, packet: Packet) -> Verdict:
    """Whether the organisation that signed is the agency the edXML is from, and the mail's sender."""
    outcome: Outcome = PASSED
    sub, official = "", False
    if opened.openpgp:
        if opened.signature.outcome == PASSED and opened.envelope.sender not in opened.addresses:
            outcome, sub = FAILED, "SIGNER_IS_NOT_SENDER"
    elif opened.signer is not None:
        subject = subject_of(opened.signer)
        if subject.role != "organisation" or (subject.code and _differs(subject.code, packet)):
            outcome, sub = FAILED, "SEAL_OF_OTHER_AGENCY"
        elif subject.addresses and opened.envelope.sender.lower() not in subject.addresses:
            outcome, sub = FAILED, "SIGNER_IS_NOT_SENDER"
        official = outcome == PASSED and subject.code != ""
    return Verdict("packet", outcome, sub, official=official, sub_indication=sub)


def _differs(code: str, packet: Packet) -> bool:
    return to_new_code(code) != to_new_code(packet.sender.organ_id)
