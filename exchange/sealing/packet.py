# SPDX-License-Identifier: AGPL-3.0-or-later
"""The packet mail: an edXML (and receipts), signed by the organisation, encrypted to agencies.

Form: see ``packet_form``. Foreign programs open it: ``openssl cms -decrypt -recip agency.pem`` and then
``openssl cms -verify -CAfile ca.pem``.

*Packet digest*: SHA-256 (hex) of the encrypted CMS, the DER that the mail's base64 body decodes to. It is
the same at the sender and at every receiver, since mail systems on the way only add headers; all that the
mail headers say is repeated in the signed part and compared.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from cryptography import x509

from config.clock import now_us, to_local
from config.refusal import Refused
from exchange.sealing import packet_form as form
from exchange.sealing.enveloped import decrypt, encrypt
from exchange.sealing.judging import Judging, Sign
from exchange.sealing.openpgp_form import is_openpgp_mail, read_openpgp_mail
from exchange.sealing.packet_form import Contents, Envelope, PacketBroken
from exchange.sealing.recipients import Opener, recipient_infos
from exchange.sealing.signed import CmsJudgement, is_canonical, sign_detached, verify_signed


@dataclass(frozen=True, slots=True)
class Sender:
    """The sending agency: registry address, certificate of its seal with its chain, and the seal itself.

    ``sign`` gets the CMS signed attributes (DER SET) and gives the signature.
    """

    address: str
    certificates: tuple[x509.Certificate, ...]
    sign: Sign


@dataclass(frozen=True, slots=True)
class Built:
    """A packet made: the mail, its digest, its Message-ID, and the content key (secret; for the evidence)."""

    mail: bytes
    digest: str
    message_id: str
    content_key: bytes


@dataclass(frozen=True, slots=True)
class OpenedPacket:
    """A packet opened and judged. ``signature`` is the organisation's over the signed part."""

    envelope: Envelope
    edxml_name: str
    edxml: bytes
    receipts: tuple[tuple[str, bytes], ...]
    signature: CmsJudgement
    digest: str
    content_key: bytes
    signed_part: bytes = field(default=b"", repr=False)
    cms: bytes = field(default=b"", repr=False)
    fingerprint: str = ""
    'In OpenPGP form: of the primary key that signed, "" when it is not known.'
    sealed_to: str = ""
    "In OpenPGP form: what the signed part says of the recipients' keys (`openpgp_form.fingerprints_digest`)."
    addresses: tuple[str, ...] = ()
    "In OpenPGP form: the addresses that the key names."
    openpgp: bool = False

    @property
    def form(self) -> str:
        """The name of its outermost layer."""
        return "OpenPGP" if self.openpgp else "CMS"

    @property
    def signer(self) -> x509.Certificate | None:
        """The certificate of the organisation that signed."""
        return self.signature.certificate


def packet_digest(mail: bytes) -> str:
    """The packet digest of a packet mail in either form, without opening it. Raises ``PacketBroken``."""
    if is_openpgp_mail(mail):
        return hashlib.sha256(read_openpgp_mail(mail)[1]).hexdigest()
    return hashlib.sha256(form.read_mail(mail)[1]).hexdigest()


def build_packet(
    edxml: bytes,
    sender: Sender,
    recipients: Sequence[tuple[str, x509.Certificate]],
    *,
    name: str = "document.edxml",
    receipts: Sequence[tuple[str, bytes]] = (),
    also_for: Sequence[x509.Certificate] = (),
    message_id: str | None = None,
    at_us: int | None = None,
) -> Built:
    """One packet mail for all ``recipients`` (registry address, encryption certificate).

    ``also_for``: certificates that may open it without being addressed (the sender's own, so that it can
    open its outgoing packets later). ``name`` and receipt names are ASCII file names. Raises ``Refused``.
    """
    moment: datetime = to_local(now_us() if at_us is None else at_us).replace(microsecond=0)
    domain = sender.address.rpartition("@")[2]
    envelope = Envelope(
        sender.address,
        tuple(address for address, _ in recipients),
        format_datetime(moment),
        message_id or f"<{os.urandom(16).hex()}@{domain}>",
    )
    key = os.urandom(32)
    infos = recipient_infos([*(one for _, one in recipients), *also_for], key)
    contents = Contents(envelope, form.recipients_digest(infos), name, edxml, tuple(receipts))
    signed_part = form.write_signed_part(contents)
    signature = sign_detached(signed_part, sender.certificates, sender.sign, moment)
    sealed = encrypt(form.write_signed(envelope, signed_part, signature), infos, key)
    mail = form.write_mail(envelope, sealed)
    if len(mail) > form.MAX_MAIL:
        raise Refused("packet-too-large", "Gói tin quá lớn.", "The packet is too large.")
    return Built(mail, hashlib.sha256(sealed).hexdigest(), envelope.message_id, key)


def open_packet(mail: bytes, openers: Sequence[Opener], judging: Judging) -> OpenedPacket:
    """Open a packet mail and judge the organisation's signature.

    Raises ``CannotOpen`` (no key fits, or altered), ``NotCms`` or ``PacketBroken`` (a byte is not as it
    was written). A signature that does not stand is told in ``signature``, not raised.
    """
    envelope, sealed = form.read_mail(mail)
    opened = decrypt(sealed, openers)
    if not opened.canonical:
        raise PacketBroken("CMS")
    signed_part, signature = form.read_signed(opened.content)
    contents = form.read_signed_part(signed_part)
    if contents.envelope != envelope:
        raise PacketBroken("header")
    if contents.recipients_digest != form.recipients_digest(opened.recipients):
        raise PacketBroken("recipients")
    if form.write_signed(envelope, signed_part, signature) != opened.content or not is_canonical(signature):
        raise PacketBroken("multipart/signed")
    judgement = verify_signed(signature, signed_part, judging)
    return OpenedPacket(
        envelope,
        contents.edxml_name,
        contents.edxml,
        contents.receipts,
        judgement,
        hashlib.sha256(sealed).hexdigest(),
        opened.key,
        signed_part,
        signature,
    )
