# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the signer does about keys themselves: issue, renew, revoke, list, put by and recover, passkeys.

Each gives the `Use` that the caller writes into the ledger. Who may ask for it is the caller's check
(`policy.rights`); the signer's own log records who was said to have asked.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.refusal import Refused
from exchange.signing import recovery
from exchange.signing.issuing import Issuing
from exchange.signing.keys import Approval, KeyMissing, KeyStore, KeyUnreadable
from exchange.signing.phone.passkeys import Holder, Passkeys, certificate_of
from exchange.signing.protocol import Use
from exchange.signing.provision import AgencyKeys, PersonKey, make_timestamps, renew_ledger
from exchange.signing.requests import Values, bad, octets, plain, text
from exchange.signing.token import OwnToken
from exchange.signing.uses import Uses
from exchange.trust.directory import TrustDirectory

_ISSUED: tuple[Approval, ...] = ("file", "passkey", "token")
_MOST_LISTED = 500


class KeyOperations:
    """The operations of the authority and the key store. Methods named ``op_<name>`` are the requests."""

    def __init__(
        self, store: KeyStore, directory: TrustDirectory, uses: Uses, issuing: Issuing, passkeys: Passkeys
    ) -> None:
        self._store = store
        self._directory = directory
        self._uses = uses
        self._issuing = issuing
        self._passkeys = passkeys

    def op_crl(self, request: Values) -> Values:
        """Renews the revocation lists that are older than a day; gives the names of those renewed."""
        return {"renewed": self._issuing.renew()}

    def op_ocsp(self, request: Values) -> Values:
        """``request`` (OCSPRequest, RFC 6960) → ``response`` of our issuing authority."""
        return {"response": self._issuing.word_on(octets(request, "request"))}

    def op_revoke(self, request: Values) -> Values:
        """``serial`` (hex)``, reason, who``: revokes a certificate of our issuing authority."""
        serial = text(request, "serial")
        if not re.fullmatch(r"[0-9a-fA-F]{1,40}", serial):
            raise bad("serial")
        reason, who = text(request, "reason"), text(request, "who")
        self._issuing.revoke(int(serial, 16), reason)
        use = self._uses.record("revoke", "ca-issuing", who=who, purpose=f"{serial} {reason}")
        return {"use": asdict(use)}

    def renew_timestamps(self, who: str) -> Use:
        """A new key and certificate of the time-stamp authority."""
        issuing = self._issuing.authority()
        subject = issuing.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        make_timestamps(self._store, self._directory, issuing, str(subject[0].value), renew=True)
        return self._uses.record("renew", "ca-issuing", who=who, purpose="tsa")

    def op_renew_ledger(self, request: Values) -> Values:
        """``who``: a new key of the ledger → ``vkey``. The earlier one only hands over; its certificate stays."""
        new = renew_ledger(self._store, self._directory, self._issuing.authority())
        use = self._uses.record("renew", "ca-issuing", who=text(request, "who"), purpose="ledger")
        return {"use": asdict(use), "vkey": new.vkey}

    def op_renew_issuing(self, request: Values) -> Values:
        """``who``: another issuing authority from now on → ``name`` (its CN)."""
        made = self._issuing.succeed()
        name = made.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        use = self._uses.record("renew", "ca-root", who=text(request, "who"), purpose="ca-issuing")
        return {"use": asdict(use), "name": str(name)}

    def op_add_agency(self, request: Values) -> Values:
        """``agency`` {code, name, registry}``, who, approval, renew`` ("", sign, decrypt or both).

        A renewed decryption key is kept for what was encrypted to it; a renewed seal's key is destroyed.
        Gives the serial numbers (hex) of the certificates that went out of use.
        """
        agency = AgencyKeys(**plain(request, "agency"))
        if self._approval(request) == "token":
            raise _seal_by_pin()
        renew = str(request.get("renew", ""))
        if renew not in ("", "sign", "decrypt", "both"):
            raise bad("renew")
        old = self._issuing.agency(agency, self._approval(request), renew)
        use = self._uses.record(
            "renew" if renew else "issue",
            "ca-issuing",
            who=text(request, "who"),
            purpose=f"{agency.code} {renew}",
        )
        return {"use": asdict(use), "replaced": [f"{one:x}" for one in old]}

    def op_add_person(self, request: Values) -> Values:
        """``person`` {address, name, title, agency}``, who, approval, renew`` (bool): key and certificate.

        Of mode ``token`` also ``token`` (its label) and ``pin``: the key is made in the person's own token.
        """
        person = PersonKey(**plain(request, "person"))
        renew, mode, own = request.get("renew") is True, self._approval(request), None
        if mode == "token":
            own = OwnToken(text(request, "token", 64), text(request, "pin", 64))
        old = self._issuing.person(person, mode, renew, own)
        use = self._uses.record(
            "renew" if renew else "issue", "ca-issuing", who=text(request, "who"), purpose=person.address
        )
        return {"use": asdict(use), "replaced": [f"{one:x}" for one in old]}

    def op_keys(self, request: Values) -> Values:
        """``after`` (a name, "" from the beginning)``: up to 500 keys with approval mode, mark and days left."""
        after = str(request.get("after", ""))
        names = [one for one in self._store.names() if one > after]
        now = datetime.now(UTC)
        found = []
        for name in names[:_MOST_LISTED]:
            certificate = self._certificate(name)
            days = (certificate.not_valid_after_utc - now).days if certificate else None
            serial = f"{certificate.serial_number:x}" if certificate else ""
            found.append(
                {"name": name, "approval": self._store.approval(name), "days": days, "serial": serial}
            )
        return {"keys": found, "more": len(names) > _MOST_LISTED, "all": len(self._store.names())}

    def op_put_by(self, request: Values) -> Values:
        """``code, officers`` [{name, key (PEM)}]``, threshold, who`` → ``file`` (`exchange.signing.recovery`)."""
        code, who = text(request, "code"), text(request, "who")
        officers, threshold = request.get("officers"), request.get("threshold")
        if (
            not isinstance(officers, list)
            or len(officers) > recovery.MOST_OFFICERS
            or type(threshold) is not int
        ):
            raise bad("officers")
        people = [(text(one, "name"), recovery.officer_key(octets(one, "key"))) for one in officers]
        base = f"agency-decrypt:{code}"
        keys = {}
        for name in self._store.names():
            if name == base or name.startswith(f"{base}~"):
                keys[name] = self._store.elliptic(name)[0].private_bytes(
                    serialization.Encoding.DER,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
        if not keys:
            raise KeyMissing(base)
        file = recovery.put_by(code, keys, people, threshold)
        use = self._uses.record("put_by", base, who=who, purpose=f"{threshold} of {len(people)}")
        return {"file": file, "use": asdict(use)}

    def op_recover(self, request: Values) -> Values:
        """``file, shares`` [text]``, who``: takes back the keys that are missing here; gives their names."""
        shares = request.get("shares")
        if not isinstance(shares, list) or not all(isinstance(one, str) for one in shares):
            raise bad("shares")
        code, keys = recovery.open_with(octets(request, "file"), [recovery.Share.read(one) for one in shares])
        known, restored = set(self._store.names()), []
        base = f"agency-decrypt:{code}"
        for name, pkcs8 in keys.items():
            if name in known or not (name == base or name.startswith(f"{base}~")):
                continue
            key = serialization.load_der_private_key(pkcs8, None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise KeyUnreadable(name)
            self._store.add(name, key, "service")
            restored.append(name)
        use = self._uses.record(
            "recover", base, who=text(request, "who"), purpose=f"{len(restored)} keys, {len(shares)} shares"
        )
        return {"restored": restored, "use": asdict(use)}

    # --- passkeys that approve

    def op_invite_passkey(self, request: Values) -> Values:
        """``holder`` {address, name, title, agency, code}``, who`` → ``code`` for enrolling, shown once."""
        told = plain(request, "holder")
        holder = Holder(*(text(told, one) for one in ("address", "name", "title", "agency", "code")))
        code = self._passkeys.invite(holder)
        use = self._uses.record("invite_passkey", holder.address, who=text(request, "who"))
        return {"code": code, "use": asdict(use)}

    def op_passkey_challenge(self, request: Values) -> Values:
        """``address`` → ``challenge`` for enrolling, and the ``host`` it is for."""
        return {
            "challenge": self._passkeys.challenge(text(request, "address").lower()),
            "host": self._passkeys.host,
        }

    def op_enrol_passkey(self, request: Values) -> Values:
        """``address, code, response`` (JSON of the browser) → ``credential`` and its certificate's ``serial``."""
        address = text(request, "address").lower()
        made = self._passkeys.enrol(
            address, text(request, "code"), text(request, "response", 64 * 1024), self._issuing.authority()
        )
        serial = f"{certificate_of(made).serial_number:x}"
        use = self._uses.record("enrol_passkey", address, who=address, purpose=serial)
        return {"credential": made.credential, "serial": serial, "use": asdict(use)}

    def op_passkeys(self, request: Values) -> Values:
        """``address`` → its passkeys: ``credential, at, serial, certificate`` (DER), ``active`` (not forgotten)."""
        address = text(request, "address").lower()
        found = [(one, True) for one in self._passkeys.of(address)]
        found += [(one, False) for one in self._passkeys.gone(address)]
        return {
            "passkeys": [
                {
                    "credential": one.credential,
                    "at": one.at,
                    "serial": f"{certificate_of(one).serial_number:x}",
                    "certificate": one.certificate,
                    "active": active,
                }
                for one, active in found
            ]
        }

    def op_forget_passkey(self, request: Values) -> Values:
        """``address, credential, who``: a lost passkey approves nothing any more; its certificate is revoked."""
        address = text(request, "address").lower()
        gone = certificate_of(self._passkeys.forget(address, octets(request, "credential")))
        self._issuing.revoke(gone.serial_number, "keyCompromise")
        use = self._uses.record(
            "forget_passkey", address, who=text(request, "who"), purpose=f"{gone.serial_number:x}"
        )
        return {"use": asdict(use)}

    def _approval(self, request: Values) -> Approval:
        mode = request.get("approval", "file")
        for known in _ISSUED:
            if mode == known:
                return known
        raise bad("approval")

    def _certificate(self, name: str) -> x509.Certificate | None:
        kind, _, whose = name.partition(":")
        if kind == "person":
            return self._directory.certificate_of_person(whose)
        if kind == "agency-sign":
            return self._directory.signing_certificate_of_agency(whose)
        if kind == "agency-decrypt":
            return self._directory.encryption_certificate_of_agency(whose) if "~" not in whose else None
        return self._directory.timestamp_certificate() if name == "tsa" else None


def _seal_by_pin() -> Refused:
    return Refused(
        "seal-by-pin",
        "Khóa của cơ quan còn ký gói tin và biên nhận tự động nên không dùng kiểu “token”; chọn “passkey” (khóa vẫn nằm "
        "trong thiết bị của máy chủ ký số khi có cài đặt pkcs11_token).",
        "An agency's key also signs packets and receipts by itself, so mode “token” can't be had; take “passkey” (the key "
        "still lies in the signing server's token when pkcs11_token is set).",
    )
