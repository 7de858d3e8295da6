# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who sealed an arrived packet: an agency known here, by its certificate or by its pinned OpenPGP key."""

from __future__ import annotations

from datetime import UTC, datetime

from config.refusal import Refused
from exchange.exchange import Exchange
from exchange.sealing.packet import OpenedPacket
from exchange.trust.subject import subject_of
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED
from mailserver.accounts import Agency


class NotSealed(Refused):
    """No agency known here sealed it so; ``state``: held or refused, ``sender``: the code that it may be of."""

    def __init__(self, state: str, code: str, vi: str, en: str, sender: str = "") -> None:
        super().__init__(code, vi, en)
        self.state = state
        self.sender = sender


def sealed_by(exchange: Exchange, opened: OpenedPacket) -> Agency:
    """The agency whose seal stands on the packet and that sends it. Raises `NotSealed`."""
    judged = opened.signature
    if opened.openpgp and judged.outcome == INDETERMINATE and not opened.fingerprint:
        raise NotSealed(
            "held",
            "openpgp-key-unknown",
            "Gói tin dạng OpenPGP do khóa chưa ghim ký. Xác minh vân tay khóa với cơ quan gửi qua kênh khác; quản trị "
            "hệ thống ghim khóa (`congvan agency pin add`), rồi văn thư bấm “Mở lại gói tin”.",
            "The OpenPGP packet is signed by a key that is not pinned. Compare the fingerprint with the sender by another "
            "way; the system officer pins it (`congvan agency pin add`), then press “Open the packet again”.",
        )
    if judged.outcome != PASSED or (opened.signer is None and not opened.fingerprint):
        sub = judged.sub_indication or judged.outcome
        raise NotSealed(
            "refused" if judged.outcome == FAILED else "held",
            "packet-signature",
            f"Chữ ký số của cơ quan trên gói tin không xác nhận được ({sub}).",
            f"The organisation's signature on the packet does not stand ({sub}).",
        )
    return _by_openpgp(exchange, opened) if opened.openpgp else _by_certificate(exchange, opened)


def _by_certificate(exchange: Exchange, opened: OpenedPacket) -> Agency:
    if opened.signer is None:
        raise AssertionError("judged before")
    subject = subject_of(opened.signer)
    sender = exchange.accounts.agency(subject.code) if subject.role == "organisation" else None
    if sender is None or opened.envelope.sender.lower() not in subject.addresses:
        raise _no_sender(subject.name)
    if not exchange.trust.lists().pinned(subject.code, opened.signer, datetime.now(UTC)):
        raise _not_pinned(sender)
    return sender


def _by_openpgp(exchange: Exchange, opened: OpenedPacket) -> Agency:
    """The agency for which the key is pinned."""
    pins = exchange.trust.lists().codes_of(opened.fingerprint)
    sender = exchange.accounts.agency(pins[0].code) if pins else None
    if sender is None or opened.envelope.sender.lower() != sender.registry_address.lower():
        raise _no_sender(opened.fingerprint)
    if not pins[0].holds(datetime.now(UTC)):
        raise _not_pinned(sender)
    return sender


def _no_sender(name: str) -> NotSealed:
    return NotSealed(
        "refused",
        "packet-sender",
        f"Gói tin do “{name}” ký, không phải cơ quan đã đăng ký đứng tên gửi.",
        f"The packet is signed by “{name}”, not by a registered agency that sends it.",
    )


def _not_pinned(sender: Agency) -> NotSealed:
    return NotSealed(
        "held",
        "certificate-not-pinned",
        f"{sender.name} ký bằng chứng thư chưa được thông báo trước. Xác minh với cơ quan gửi qua kênh khác; "
        "nếu đúng, quản trị hệ thống ghim chứng thư (`congvan agency pin add`), rồi văn thư bấm “Mở lại gói tin”.",
        f"{sender.name} signed with a certificate it had not announced. Ask the sender by another way; if it is "
        "right, the system officer pins it (`congvan agency pin add`), then press “Open the packet again”.",
        sender.code,
    )
