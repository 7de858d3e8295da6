# SPDX-License-Identifier: AGPL-3.0-or-later
"""Packets in OpenPGP form made, opened and judged; what comes out is the same value as of a CMS packet."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime

from config.clock import now_us, to_local
from config.refusal import Refused
from exchange.sealing import openpgp_form as form
from exchange.sealing import packet_form
from exchange.sealing.openpgp import OpenPgp, PgpSignature
from exchange.sealing.openpgp_wire import PublicKey, SignDigest, dearmour, detached
from exchange.sealing.packet import Built, OpenedPacket
from exchange.sealing.packet_form import Contents, Envelope, PacketBroken
from exchange.sealing.signed import CmsJudgement
from exchange.trust.verdict import INDETERMINATE, UNSIGNED, worst

Unwrap = Callable[[bytes], bytes]
"""Gives the session key (its algorithm in front) of a message in octets. Raises `CannotOpen`, `Unavailable`."""


@dataclass(frozen=True, slots=True)
class OpenPgpSender:
    """The sending agency: registry address, its OpenPGP key, and the signature by that key over a SHA-256 digest."""

    address: str
    key: PublicKey
    sign: SignDigest


def build_openpgp_packet(
    edxml: bytes,
    sender: OpenPgpSender,
    recipients: Sequence[tuple[str, str]],
    gpg: OpenPgp,
    *,
    name: str = "document.edxml",
    receipts: Sequence[tuple[str, bytes]] = (),
    at_us: int | None = None,
) -> Built:
    """One packet mail for ``recipients`` (registry address, primary fingerprint), and for the sender itself.

    ``gpg`` has the public keys of all of them. Raises `Refused`.
    """
    moment: datetime = to_local(now_us() if at_us is None else at_us).replace(microsecond=0)
    domain = sender.address.rpartition("@")[2]
    envelope = Envelope(
        sender.address,
        tuple(address for address, _ in recipients),
        format_datetime(moment),
        f"<{os.urandom(16).hex()}@{domain}>",
    )
    own = sender.key.fingerprint.hex().upper()
    keys = list(dict.fromkeys([*(one for _, one in recipients), own]))
    contents = Contents(envelope, form.fingerprints_digest(keys), name, edxml, tuple(receipts))
    signed_part = packet_form.write_signed_part(contents)
    signature = detached(signed_part, sender.key, int(moment.timestamp()), sender.sign)
    armoured = gpg.encrypt(form.write_openpgp_signed(envelope, signed_part, signature), keys)
    mail = form.write_openpgp_mail(envelope, armoured)
    if len(mail) > packet_form.MAX_MAIL:
        raise Refused("packet-too-large", "Gói tin quá lớn.", "The packet is too large.")
    return Built(mail, hashlib.sha256(dearmour(armoured)).hexdigest(), envelope.message_id, b"")


def open_openpgp_packet(
    mail: bytes, unwrap: Unwrap | None, gpg: OpenPgp, now: datetime | None = None
) -> OpenedPacket:
    """Open a packet mail and judge the signature on it by the keys in ``gpg``.

    ``unwrap`` None: the private key is in ``gpg``. Raises `CannotOpen`, `PacketBroken`; a signature that does not
    stand is told in ``signature``, not raised.
    """
    envelope, message = form.read_openpgp_mail(mail)
    session_key = unwrap(message) if unwrap is not None else b""
    opened = gpg.decrypt(message, now, session_key)
    payload = form.read_payload(opened.content)
    found = (
        gpg.verify(payload.signed_part, payload.signature, now) if payload.signature else opened.signatures
    )
    judgement, first = _judged(found, signed=bool(payload.signature))
    contents = form.read_contents(payload.signed_part, envelope)
    return OpenedPacket(
        envelope,
        contents.edxml_name,
        contents.edxml,
        contents.receipts,
        judgement,
        hashlib.sha256(message).hexdigest(),
        session_key,
        payload.signed_part,
        payload.signature,
        first.fingerprint if first is not None else "",
        contents.recipients_digest,
        first.addresses if first is not None else (),
        openpgp=True,
    )


def must_be_sealed_to(opened: OpenedPacket, fingerprints: Sequence[Sequence[str]]) -> None:
    """Raises `PacketBroken` when the signed part names recipients' keys and none of the sets given is meant.

    A packet that its reader sealed anew to somebody else is thereby told apart.
    """
    if opened.sealed_to and opened.sealed_to not in map(form.fingerprints_digest, fingerprints):
        raise PacketBroken("recipients")


def _judged(found: Sequence[PgpSignature], *, signed: bool) -> tuple[CmsJudgement, PgpSignature | None]:
    """The judgement on all signatures and the first when all are by one key; ``signed``: there is one to be read."""
    if not found:
        if not signed:
            return CmsJudgement(UNSIGNED, "", (), None), None
        return CmsJudgement(INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND", (), None), None
    lines = tuple(replace(one.verdict, role="organisation") for one in found)
    outcome = worst(one.verdict for one in lines)
    sub = next((one.sub_indication for one in lines if one.verdict == outcome), "")
    alone = len({one.fingerprint for one in found}) == 1
    return CmsJudgement(outcome, sub, lines, None), found[0] if alone else None
