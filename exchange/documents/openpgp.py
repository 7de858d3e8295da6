# SPDX-License-Identifier: AGPL-3.0-or-later
"""Packets in OpenPGP form to and from partners that have only that: keys by their pins, private keys in the signer."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from config.refusal import Refused, Unavailable
from exchange.exchange import Exchange
from exchange.sealing.openpgp_packet import (
    OpenPgpSender,
    build_openpgp_packet,
    must_be_sealed_to,
    open_openpgp_packet,
)
from exchange.sealing.openpgp_pool import pooled
from exchange.sealing.openpgp_wire import PublicKey, SessionKey, read_certificate, session_keys
from exchange.sealing.packet import Built, OpenedPacket
from exchange.sealing.recipients import CannotOpen
from exchange.signing.openpgp_client import OpenPgpKeys
from exchange.signing.protocol import Use
from mailserver.accounts import Agency

_MOST_TRIED = 8


def partner_key(exchange: Exchange, code: str) -> str:
    """The fingerprint to seal to ``code`` in OpenPGP with: "" when it has a certificate, or no key is pinned now."""
    if exchange.trust.encryption_certificate_of_agency(code) is not None:
        return ""
    return exchange.trust.lists().openpgp_of(code, datetime.now(UTC))


def seal_openpgp(
    exchange: Exchange,
    edxml: bytes,
    sender: Agency,
    receiver: Agency,
    *,
    name: str,
    receipts: tuple[tuple[str, bytes], ...] = (),
) -> Built:
    """The packet mail for ``receiver``, signed and encrypted with OpenPGP. Raises `Refused`, `Unavailable`."""
    armours = exchange.trust.openpgp_of_agency(sender.code)
    if not armours:
        raise Refused(
            "no-openpgp-key",
            f"{sender.name} chưa có khóa OpenPGP; quản trị hệ thống tạo bằng `congvan agency openpgp issue {sender.code}`.",
            f"{sender.name} has no OpenPGP key; the system officer makes one: `congvan agency openpgp issue {sender.code}`.",
            rule="R-ISS-13",
        )
    own, _ = read_certificate(armours[0])
    fingerprint = partner_key(exchange, receiver.code)
    if exchange.trust.openpgp_of_partner(receiver.code, fingerprint) is None:
        raise Refused(
            "no-openpgp-key",
            f"Chưa ghim khóa OpenPGP của {receiver.name} (`congvan agency pin add`).",
            f"No OpenPGP key of {receiver.name} is pinned (`congvan agency pin add`).",
            rule="R-ISS-13",
        )
    keys = OpenPgpKeys(exchange.signer, sender.code)
    return build_openpgp_packet(
        edxml,
        OpenPgpSender(sender.registry_address, own, keys.sign),
        [(receiver.registry_address, fingerprint)],
        pooled(exchange.trust.openpgp_ring()),
        name=name,
        receipts=receipts,
    )


class OpenPgpUnwrapping:
    """Opens packets in OpenPGP form with an agency's key in the signer, and remembers what the signer said."""

    def __init__(self, exchange: Exchange, agency: Agency, purpose: str, who: str = "") -> None:
        """``purpose``: ``receive`` on arrival, ``open`` for a person (``who``)."""
        self._exchange = exchange
        self._pairs = [read_certificate(one) for one in exchange.trust.openpgp_of_agency(agency.code)]
        self._ask = partial(OpenPgpKeys(exchange.signer, agency.code).unwrap, purpose=purpose, who=who)
        self.uses: list[Use] = []

    def open(self, mail: bytes) -> OpenedPacket:
        """Open and judge a packet mail. Raises `CannotOpen`, `PacketBroken`, `Unavailable`."""
        if not self._pairs:
            raise CannotOpen
        gpg = pooled(self._exchange.trust.openpgp_ring())
        opened = open_openpgp_packet(mail, self.session_key, gpg)
        own = [primary.fingerprint.hex().upper() for primary, _ in self._pairs]
        others = [opened.fingerprint]
        if opened.fingerprint in own:  # one that we sent
            others = [one.sha256 for one in self._exchange.trust.lists().openpgp]
        must_be_sealed_to(opened, [(one, other) for one in own for other in others])
        return opened

    def session_key(self, message: bytes) -> bytes:
        """The session key (its algorithm in front) of a message in octets. Raises `CannotOpen`, `Unavailable`."""
        tried = 0
        for one in session_keys(message):
            for at, (_, subkey) in enumerate(self._pairs):
                if one.key_id not in (subkey.fingerprint[-8:], bytes(8)) or tried >= _MOST_TRIED:
                    continue
                tried += 1
                opened = self._try(one, subkey, archived=at > 0)
                if opened is not None:
                    return opened
        raise CannotOpen

    def _try(self, one: SessionKey, subkey: PublicKey, *, archived: bool) -> bytes | None:
        try:
            opened = self._ask(one, subkey, archived=archived)
        except Unavailable:
            raise
        except Refused:
            return None
        self.uses.append(opened.use)
        return opened.key
