# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is in a packet: opened by the signer, verified layer by layer, judged (edxml.md section 9).

Works outside any transaction and writes nothing; `exchange.receiving.keeping` keeps what was found. Only
`Unavailable` is raised: every packet, however made, gives a finding, so none stands in the way of the next.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from config.refusal import Refused, Unavailable
from exchange.documents import facts
from exchange.documents.work import Unwrapping, judging
from exchange.edxml.codes import to_new_code
from exchange.edxml.model import DocumentPacket, StatusPacket
from exchange.exchange import Exchange
from exchange.receiving import content as contents
from exchange.receiving.content import Checked
from exchange.sealing.packet import OpenedPacket, open_packet
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, PASSED, Verdict
from exchange.verifying.edxml import verify_edxml
from exchange.verifying.second import heard_on_packet
from mailserver.accounts import Agency
from policy.judge import judge


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A packet that nobody answers: not for us, altered, or not signed by whom it names.

    ``state`` is ``held`` (perhaps only not decidable now) or ``refused`` (it can't be genuine).
    """

    state: str
    code: str
    vi: str
    en: str
    digest: bytes
    message_id: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class ArrivedStatus:
    """A status from the agency that signed it, with the receipts that came along."""

    packet: StatusPacket
    sender: Agency
    opened: OpenedPacket = field(repr=False)


@dataclass(frozen=True, slots=True)
class ArrivedDocument:
    """A document from the agency that signed it, and what the checks said."""

    packet: DocumentPacket
    sender: Agency
    opened: OpenedPacket = field(repr=False)
    checked: Checked
    signer_record: str
    edxml: Verdict

    @property
    def layers(self) -> list[tuple[str, Verdict]]:
        """The verdict on each layer by its name, outside in."""
        cms = self.opened.signature
        return [
            (
                "CMS",
                Verdict(
                    "packet",
                    cms.outcome,
                    cms.sub_indication,
                    signatures=cms.signatures,
                    sub_indication=cms.sub_indication,
                ),
            ),
            ("edXML", self.edxml),
            *self.checked.verdicts,
        ]


Arrival = Unreadable | ArrivedStatus | ArrivedDocument


def look(exchange: Exchange, agency: Agency, mail: bytes, message_id: str) -> Arrival:
    """Open and judge the packet ``mail`` in the registry mailbox of ``agency``. Raises `Unavailable`."""
    unwrapping = Unwrapping(exchange, agency, "receive")
    digest = hashlib.sha256(mail).digest()
    judge_with = judging(exchange)
    try:
        opened = heard_on_packet(open_packet(mail, unwrapping.openers, judge_with), judge_with)
    except Refused as problem:
        unwrapping.check()
        if isinstance(problem, Unavailable):
            raise
        return Unreadable("held", problem.code, problem.vi, problem.en, digest, message_id)
    digest = bytes.fromhex(opened.digest)

    def unreadable(state: str, code: str, vi: str, en: str, sender: str = "") -> Unreadable:
        return Unreadable(state, code, vi, en, digest, message_id, sender)

    if opened.signature.outcome != PASSED or opened.signer is None:
        sub = opened.signature.sub_indication
        return unreadable(
            "refused" if opened.signature.outcome == FAILED else "held",
            "packet-signature",
            f"Chữ ký số của cơ quan trên gói tin không xác nhận được ({sub}).",
            f"The organisation's signature on the packet does not stand ({sub}).",
        )
    subject = subject_of(opened.signer)
    sender = exchange.accounts.agency(subject.code) if subject.role == "organisation" else None
    if sender is None or opened.envelope.sender.lower() not in subject.addresses:
        return unreadable(
            "refused",
            "packet-sender",
            f"Gói tin do “{subject.name}” ký, không phải cơ quan đã đăng ký đứng tên gửi.",
            f"The packet is signed by “{subject.name}”, not by a registered agency that sends it.",
        )
    if not exchange.trust.lists().pinned(subject.code, opened.signer, datetime.now(UTC)):
        return unreadable(
            "held",
            "certificate-not-pinned",
            f"{sender.name} ký bằng chứng thư chưa được thông báo trước. Xác minh với cơ quan gửi qua kênh khác; "
            "nếu đúng, quản trị hệ thống ghim chứng thư (`congvan agency pin add`), rồi văn thư bấm “Mở lại gói tin”.",
            f"{sender.name} signed with a certificate it had not announced. Ask the sender by another way; if it is "
            "right, the system officer pins it (`congvan agency pin add`), then press “Open the packet again”.",
            sender.code,
        )
    verdict, reading = verify_edxml(opened.edxml, judge_with)
    if reading is None:
        return unreadable("held", "edxml-unreadable", verdict.reason, verdict.reason, sender.code)
    packet = reading.packet
    if to_new_code(packet.sender.organ_id) != to_new_code(subject.code):
        return unreadable(
            "refused",
            "packet-from",
            f"Gói tin ghi nơi gửi {packet.sender.organ_id} nhưng do {sender.code} ký.",
            f"The packet says it is from {packet.sender.organ_id} but {sender.code} signed it.",
            sender.code,
        )
    xml = verdict.signatures[0].verdict if verdict.signatures else "UNSIGNED"
    if xml != PASSED or reading.repaired:
        return unreadable(
            "refused" if xml == FAILED else "held",
            "edxml-signature",
            f"Chữ ký XML của edXML không xác nhận được ({verdict.sub_indication or xml}).",
            f"The XML signature of the edXML does not stand ({verdict.sub_indication or xml}).",
            sender.code,
        )
    if isinstance(packet, StatusPacket):
        return ArrivedStatus(packet, sender, opened)
    checked = contents.check(exchange, agency, sender, packet, opened.edxml, reading.problems)
    record = unwrapping.uses[-1].record if unwrapping.uses else ""
    return ArrivedDocument(packet, sender, opened, checked, record, verdict)


def status_problem(exchange: Exchange, packet: StatusPacket, size: int) -> str:
    """What the rules hold against a status, "" when nothing."""
    decision = judge(facts.of_arrival(facts.Receiving(packet, size, None, checked=True)), exchange.rulebook)
    return "" if decision.passes else f"{decision.findings[0].rule_id}: {decision.findings[0].vi}"
