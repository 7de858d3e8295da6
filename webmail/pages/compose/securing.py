# SPDX-License-Identifier: AGPL-3.0-or-later
"""A letter signed and encrypted on its way out: by the agency from its registry, by a person's own key.

The agency signs, and encrypts when every recipient has a certificate for that (registry mailboxes have). A person's
letter is signed when the key is approved by file; nobody's decryption key lies with the server, so it is not
encrypted (decisions/0024).
"""

from __future__ import annotations

import secrets

from cryptography import x509

from config.clock import now_us
from config.refusal import Refused
from exchange.documents.packing import signing_chain
from exchange.exchange import Exchange
from exchange.sealing.judging import Sign
from exchange.sealing.secure_mail import encrypt_mail, sign_mail
from exchange.signing.letters import PURPOSE
from exchange.signing.protocol import PersonApproval
from exchange.signing.signed_attributes import message_digest
from mailserver.accounts import Account
from policy.ledger.entries import record
from policy.ledger.leaf import JSON

_BY_FILE = "file"


def may_sign(exchange: Exchange, account: Account, sender: str) -> bool:
    """Whether a letter of ``account`` from ``sender`` can be signed here."""
    if sender == account.address:
        return exchange.approval_of_person(sender) == _BY_FILE
    return _from_registry(exchange, account, sender)


def may_encrypt(exchange: Exchange, account: Account, sender: str) -> bool:
    """Whether it can be encrypted: from the registry of an agency that has a certificate itself."""
    own = exchange.trust.encryption_certificate_of_agency(account.agency_code)
    return own is not None and _from_registry(exchange, account, sender)


def secured(
    exchange: Exchange,
    account: Account,
    sender: str,
    recipients: tuple[str, ...],
    data: bytes,
    *,
    encrypt: bool,
) -> bytes:
    """The letter signed, and encrypted when asked for. Raises `Refused`, `Unavailable`."""
    if not may_sign(exchange, account, sender):
        raise Refused(
            "letter-not-signed",
            f"Thư gửi từ {sender} không ký số được: chỉ ký từ hộp thư văn thư, hoặc bằng khóa cá nhân duyệt bằng tệp.",
            f"A letter from {sender} can't be signed: only from the registry mailbox, or with a personal key approved by file.",
        )
    if sender == account.address:
        chain, sign = _person(exchange, account)
    else:
        code = account.agency_code
        chain = signing_chain(exchange, code)

        def sign(attributes: bytes) -> bytes:
            return exchange.signer.sign_packet(code, attributes).signature

    if not encrypt:
        return sign_mail(data, chain, sign)
    if not may_encrypt(exchange, account, sender):
        raise Refused(
            "letter-not-encrypted",
            "Chỉ mã hóa được thư gửi từ hộp thư văn thư.",
            "Only letters from the registry mailbox can be encrypted.",
        )
    return encrypt_mail(data, _certificates(exchange, account, recipients), chain, sign)


def _certificates(
    exchange: Exchange, account: Account, recipients: tuple[str, ...]
) -> list[x509.Certificate]:
    """One for each recipient and the sender's own agency, whose clerks open the sent copy. Raises `Refused`."""
    found, without = [], []
    for address in recipients:
        agency = exchange.accounts.agency_of_domain(address.rpartition("@")[2])
        registry = agency is not None and agency.registry_address == address.lower()
        one = exchange.trust.encryption_certificate_of_agency(agency.code) if agency and registry else None
        if one is None:
            without.append(address)
        else:
            found.append(one)
    if without:
        raise Refused(
            "no-encryption-certificate",
            f"Không mã hóa được: {', '.join(without[:5])} không có chứng thư. Bỏ nơi nhận đó, hoặc gửi không mã hóa.",
            f"Can't be encrypted: {', '.join(without[:5])} has no certificate. Leave it out, or send it unencrypted.",
        )
    own = exchange.trust.encryption_certificate_of_agency(account.agency_code)
    return list(dict.fromkeys([*found, *([own] if own is not None else [])]))


def _person(exchange: Exchange, account: Account) -> tuple[tuple[x509.Certificate, ...], Sign]:
    certificate = exchange.trust.certificate_of_person(account.address)
    if certificate is None:
        raise AssertionError("asked before")

    def sign(attributes: bytes) -> bytes:
        digest = message_digest(attributes).hex()
        approval = PersonApproval(secrets.token_hex(16), account.address, digest, now_us(), _BY_FILE, PURPOSE)
        signed = exchange.signer.sign_letter(account.address, approval, attributes)
        detail: dict[str, JSON] = {
            "by": account.address,
            "digest": digest,
            "signer_record": signed.use.record,
        }
        exchange.database.write(
            lambda conn: record(conn, exchange.seal, "letter.signed", account.address, detail)
        )
        return signed.signature

    return (certificate, *exchange.trust.issuers_of(certificate)), sign


def _from_registry(exchange: Exchange, account: Account, sender: str) -> bool:
    agency = exchange.accounts.agency(account.agency_code)
    return (
        agency is not None
        and sender == agency.registry_address
        and exchange.trust.signing_certificate_of_agency(agency.code) is not None
    )
