# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is in a packet: opened by the signer, verified layer by layer, judged (edxml.md section 9).

Works outside any transaction and writes nothing; `exchange.receiving.keeping` keeps what was found. Only
`Unavailable` is raised: every packet, however made, gives a finding, so none stands in the way of the next.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography import x509

from config.refusal import Refused, Unavailable
from exchange.documents import facts
from exchange.documents.opening import open_any
from exchange.documents.work import judging
from exchange.edxml.codes import to_new_code
from exchange.edxml.model import DocumentPacket, StatusPacket
from exchange.exchange import Exchange
from exchange.receiving import content as contents
from exchange.receiving.content import Checked
from exchange.receiving.sealed_by import NotSealed, sealed_by
from exchange.sealing.packet import OpenedPacket
from exchange.trust.verdict import FAILED, PASSED, UNSIGNED, Verdict
from exchange.verifying.edxml import verify_edxml
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
    awaited: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    "Certificates without a word on revocation, when that is why it is held."


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
    awaited: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    "As of what is `Unreadable`."

    @property
    def layers(self) -> list[tuple[str, Verdict]]:
        """The verdict on each layer by its name, outside in."""
        sealed = self.opened.signature
        seal = Verdict(
            "packet",
            sealed.outcome,
            sealed.sub_indication,
            signatures=sealed.signatures,
            sub_indication=sealed.sub_indication,
        )
        layers = [(self.opened.form, seal), ("edXML", self.edxml), *self.checked.verdicts]
        covered = self.opened.openpgp and self.edxml.verdict == UNSIGNED
        return [one for one in layers if not (covered and one[0] == "edXML")]


Arrival = Unreadable | ArrivedStatus | ArrivedDocument


def look_offline(
    exchange: Exchange,
    agency: Agency,
    mail: bytes,
    message_id: str,
    openings: list[OpenedPacket],
    verdicts: list[Verdict],
) -> Arrival:
    """Open and judge the packet ``mail`` in the registry mailbox of ``agency`` with what is here. Raises `Unavailable`.

    ``openings`` and ``verdicts`` take what was opened and judged, also where the packet is not taken.
    """
    judge_with = judging(exchange)
    digest = hashlib.sha256(mail).digest()
    try:
        opened, record = open_any(exchange, agency, mail, "receive")
        openings.append(opened)
        digest = bytes.fromhex(opened.digest)
        sender = sealed_by(exchange, opened)
    except Unavailable:
        raise
    except NotSealed as problem:
        return Unreadable(
            problem.state, problem.code, problem.vi, problem.en, digest, message_id, problem.sender
        )
    except Refused as problem:
        return Unreadable("held", problem.code, problem.vi, problem.en, digest, message_id)

    def unreadable(state: str, code: str, vi: str, en: str) -> Unreadable:
        return Unreadable(state, code, vi, en, digest, message_id, sender.code)

    verdict, reading = verify_edxml(opened.edxml, judge_with)
    verdicts.append(verdict)
    if reading is None:
        return unreadable("held", "edxml-unreadable", verdict.reason, verdict.reason)
    packet = reading.packet
    if to_new_code(packet.sender.organ_id) != to_new_code(sender.code):
        return unreadable(
            "refused",
            "packet-from",
            f"Gói tin ghi nơi gửi {packet.sender.organ_id} nhưng do {sender.code} ký.",
            f"The packet says it is from {packet.sender.organ_id} but {sender.code} signed it.",
        )
    xml = verdict.signatures[0].verdict if verdict.signatures else UNSIGNED
    without = (
        opened.openpgp and xml == UNSIGNED
    )  # who has no certificate can't make one; OpenPGP covers the edXML
    if (xml != PASSED and not without) or reading.repaired:
        return unreadable(
            "refused" if xml == FAILED else "held",
            "edxml-signature",
            f"Chữ ký XML của edXML không xác nhận được ({verdict.sub_indication or xml}).",
            f"The XML signature of the edXML does not stand ({verdict.sub_indication or xml}).",
        )
    if isinstance(packet, StatusPacket):
        return ArrivedStatus(packet, sender, opened)
    checked = contents.check(exchange, agency, sender, packet, opened.edxml, reading.problems)
    verdicts += [found for _, found in checked.verdicts]
    return ArrivedDocument(packet, sender, opened, checked, record, verdict)


def status_problem(exchange: Exchange, packet: StatusPacket, size: int) -> str:
    """What the rules hold against a status, "" when nothing."""
    decision = judge(facts.of_arrival(facts.Receiving(packet, size, None, checked=True)), exchange.rulebook)
    return "" if decision.passes else f"{decision.findings[0].rule_id}: {decision.findings[0].vi}"
