# SPDX-License-Identifier: AGPL-3.0-or-later
"""The verdict on an evidence file: the container, the packet in it, and every receipt about that packet.

A receipt proves that the packet existed when its entry was made, so the signatures in it are judged as
of that moment: a certificate revoked or ended since does not harm them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from config.clock import to_utc
from config.refusal import Refused
from exchange.edxml.model import DocumentPacket
from exchange.edxml.read import read
from exchange.receipts.evidence import Evidence, EvidenceBroken, as_written, attachments_of, read_evidence
from exchange.receipts.receipt import NotReceipt, read_receipt
from exchange.receipts.verify import verify_receipt
from exchange.sealing.judging import Judging
from exchange.sealing.packet import OpenedPacket, packet_digest
from exchange.sealing.recipients import Opener
from exchange.trust.late_stamp import judge_late_stamp
from exchange.trust.verdict import FAILED, PASSED, UNREADABLE, Verdict
from exchange.verifying.approval import covered_by, missing_approvals, verify_approval
from exchange.verifying.layers import Layer, decisive
from exchange.verifying.packet import verify_packet
from policy.ledger.checkpoint import Key


def verify_evidence(
    data: bytes, judging: Judging, known_logs: Sequence[Key] = (), pgp_keys: Sequence[bytes] = ()
) -> Verdict:
    """The verdict; ``not_covered`` is empty, because every byte of the file is compared or digested.

    ``pgp_keys``: OpenPGP keys that count, for a packet in that form.
    """
    try:
        evidence = read_evidence(data)
        if as_written(evidence.packet) != evidence.packet:
            raise EvidenceBroken("packet.eml")
    except EvidenceBroken as problem:
        outcome = UNREADABLE if problem.where in ("container", "size") else FAILED
        return Verdict("evidence", outcome, problem.en, sub_indication="HASH_FAILURE", not_covered=())
    except Refused as problem:
        return Verdict("evidence", FAILED, problem.en, sub_indication="HASH_FAILURE", not_covered=())
    anchors = judging.anchors.adding(evidence.certificates, evidence.crls)
    judging = replace(judging, anchors=anchors)
    receipts = [
        (f"receipts/{name}", verify_receipt(one, judging, known_logs)) for name, one in evidence.receipts
    ]
    opener = Opener(None, lambda _info: evidence.content_key)
    at = replace(judging, proved_at=judging.proved_at or _proved_at(evidence, receipts))
    verdict, opened = verify_packet(evidence.packet, at, [opener], known_logs, pgp_keys, evidence.content_key)
    layers: list[Layer] = [("packet.eml", verdict)]
    if opened is not None:
        layers += _belongs(evidence, opened)
    layers += receipts
    layers += _approved(evidence, at)
    layers += _stamped(evidence, at)
    outcome, reason, sub = decisive(layers)
    return Verdict(
        "evidence",
        outcome,
        reason,
        encryption=verdict.encryption,
        official=outcome == PASSED and all(layer.official for _, layer in layers),
        signatures=tuple(line for _, layer in layers for line in layer.signatures),
        fields=verdict.fields,
        problems=verdict.problems,
        not_covered=(),
        sub_indication=sub,
    )


def _approved(evidence: Evidence, judging: Judging) -> list[Layer]:
    """Each yes by passkey, and a signature that needs one and has none."""
    signatures = [one for _, data in evidence.attachments for one in covered_by(data)]
    layers: list[Layer] = [
        (f"approvals/{number:02d}.json", verify_approval(data, judging, signatures))
        for number, data in enumerate(evidence.approvals, 1)
    ]
    missing = missing_approvals(signatures, evidence.approvals)
    return layers if missing is None else [*layers, ("approvals", missing)]


def _stamped(evidence: Evidence, judging: Judging) -> list[Layer]:
    """Late time-stamps over the packet (DESIGN 4.13)."""
    digest = bytes.fromhex(packet_digest(evidence.packet))
    layers: list[Layer] = []
    for number, data in enumerate(evidence.stamps, 1):
        stamp = judge_late_stamp(data, digest, judging.anchors, judging.require_revocation)
        found = Verdict(
            "evidence",
            stamp.verdict,
            stamp.sub_indication or "time-stamp over the packet",
            official=stamp.verdict == PASSED,
            signatures=(stamp,),
            sub_indication=stamp.sub_indication,
        )
        layers.append((f"stamps/{number:02d}.tsr", found))
    return layers


def _proved_at(evidence: Evidence, judged: Sequence[Layer]) -> datetime | None:
    """When the packet is proved to have existed: the first sound receipt that names its digest."""
    moments = []
    for (_, data), (_, verdict) in zip(evidence.receipts, judged, strict=True):
        try:
            if verdict.passed and read_receipt(data).event.packet == packet_digest(evidence.packet):
                moments.append(to_utc(read_receipt(data).leaf.at_us))
        except Refused:
            continue
    return min(moments, default=None)


def _belongs(evidence: Evidence, opened: OpenedPacket) -> list[Layer]:
    """Failures of parts that are not of this packet; empty when all are."""
    wrong = [] if opened.edxml == evidence.edxml else ["document.edxml"]
    try:
        attached = attachments_of(opened.edxml)
        packet = read(opened.edxml).packet
    except Refused:
        return [_foreign("document.edxml")]
    if attached != evidence.attachments:
        wrong.append("attachments")
    document = packet.document_id if isinstance(packet, DocumentPacket) else packet.response_for.document_id
    for name, data in evidence.receipts:
        try:
            receipt = read_receipt(data)
        except NotReceipt:
            continue  # its own layer says so
        if receipt.document != document or receipt.event.packet not in ("", opened.digest):
            wrong.append(f"receipts/{name}")
    return [_foreign(name) for name in wrong]


def _foreign(name: str) -> Layer:
    return name, Verdict("evidence", FAILED, "it is not of this packet", sub_indication="HASH_FAILURE")
