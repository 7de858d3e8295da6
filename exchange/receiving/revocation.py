# SPDX-License-Identifier: AGPL-3.0-or-later
"""A packet looked at with the words on revocation that its certificates need: asked for on receipt, before judging.

Judging itself never touches the network (`exchange.receiving.arrival`). Where a certificate has no word here, its authority is
asked in bounded time and what came is judged again; who does not answer is named in what the clerk reads.
"""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from exchange.exchange import Exchange
from exchange.receiving.arrival import Arrival, ArrivedDocument, Unreadable, look_offline
from exchange.sealing.packet import OpenedPacket
from exchange.trust.verdict import NO_WORD, Verdict, first_sub_indication
from mailserver.accounts import Agency

_UNDECIDED = ("packet-signature", "edxml-signature")


def look(exchange: Exchange, agency: Agency, mail: bytes, message_id: str) -> Arrival:
    """Open and judge the packet ``mail`` in the registry mailbox of ``agency``. Raises `Unavailable`."""
    opened: list[OpenedPacket] = []
    verdicts: list[Verdict] = []
    arrival = look_offline(exchange, agency, mail, message_id, opened, verdicts)
    certificates = _certificates(opened, verdicts)
    fetched = exchange.fetcher.fetch(certificates, certificates)
    if fetched.got:
        arrival = look_offline(exchange, agency, mail, message_id, opened, verdicts)
    return _waiting(_unanswered(arrival, fetched.silent), exchange, certificates)


def _waiting(arrival: Arrival, exchange: Exchange, certificates: list[x509.Certificate]) -> Arrival:
    """``arrival`` with the certificates whose word is missing, where that may be why it is held."""
    if isinstance(arrival, Unreadable):
        held = arrival.state == "held" and arrival.code in _UNDECIDED
    elif isinstance(arrival, ArrivedDocument):
        held = arrival.checked.state == "held" and not arrival.checked.secret
    else:
        return arrival
    return replace(
        arrival, awaited=tuple(exchange.fetcher.without_word(certificates, certificates)) if held else ()
    )


def _certificates(opened: list[OpenedPacket], verdicts: list[Verdict]) -> list[x509.Certificate]:
    """Those that signed a layer, then those that came along."""
    signatures = [line for one in opened for line in one.signature.signatures]
    signatures += [line for one in verdicts for line in one.signatures]
    found = dict.fromkeys(line.certificate for line in signatures if line.certificate)
    for one in opened:
        if one.signer is not None:
            along = pkcs7.load_der_pkcs7_certificates(one.cms)
            found.update((other.public_bytes(Encoding.DER), None) for other in along)
    return [x509.load_der_x509_certificate(one) for one in found]


def _unanswered(arrival: Arrival, silent: tuple[str, ...]) -> Arrival:
    """``arrival`` with the hosts that gave no word, where that is why it is held."""
    if not silent:
        return arrival
    hosts = ", ".join(silent[:5])
    vi = f" Máy chủ tra cứu thu hồi không trả lời: {hosts}. Kiểm tra lại sau, hoặc đặt danh sách thu hồi vào trust/crls."
    en = f" No answer on revocation from {hosts}. Judge again later, or put the revocation list into trust/crls."
    if isinstance(arrival, Unreadable):
        undecided = arrival.state == "held" and arrival.code in _UNDECIDED
        return replace(arrival, vi=arrival.vi + vi, en=arrival.en + en) if undecided else arrival
    if not isinstance(arrival, ArrivedDocument) or arrival.checked.secret:
        return arrival
    checked = arrival.checked
    verdicts = tuple(
        (name, replace(one, reason=one.reason + en) if _without_word(one) else one)
        for name, one in checked.verdicts
    )
    if verdicts == checked.verdicts:
        return arrival
    if checked.state == "held":
        checked = replace(checked, vi=checked.vi + vi, en=checked.en + en)
    return replace(arrival, checked=replace(checked, verdicts=verdicts))


def _without_word(verdict: Verdict) -> bool:
    return NO_WORD in (verdict.sub_indication, first_sub_indication(verdict.signatures))
