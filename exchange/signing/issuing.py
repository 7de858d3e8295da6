# SPDX-License-Identifier: AGPL-3.0-or-later
"""The signer's work as an authority: revocation lists renewed daily, certificates issued and revoked.

State (``authority.json`` beside the keys): for each authority the last CRL number and what it revoked.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from config.durable import write_durably
from config.refusal import Refused
from exchange.signing.keys import Approval, KeyMissing, KeyStore
from exchange.signing.provision import (
    AgencyKeys,
    PersonKey,
    add_agency,
    add_person,
    issuing_authority,
    mark_of,
    succeed_issuing,
)
from exchange.signing.token import OwnToken
from exchange.trust.authority import Authority, Revoked, make_crl
from exchange.trust.directory import TrustDirectory
from exchange.trust.responder import answer, is_unauthorized

_RENEW_AFTER = timedelta(days=1)
_PRESENT = ("root", "issuing")


@dataclass
class Issuing:
    """The authorities of an installation; nothing to do when their keys are not here."""

    store: KeyStore
    directory: TrustDirectory
    state_file: Path
    status_url: str = ""

    def __post_init__(self) -> None:
        self._guard = threading.Lock()

    def renew(self, now: datetime | None = None) -> list[str]:
        """Renews each list that is older than a day; gives their names."""
        moment = now or datetime.now(UTC)
        renewed = []
        with self._guard:
            for name, authority in self._authorities():
                made = [
                    one.last_update_utc
                    for one in self.directory.crls()
                    if one.issuer == authority.certificate.subject
                ]
                if not made or moment - max(made) >= _RENEW_AFTER:
                    self._publish(name, authority, moment)
                    renewed.append(name)
        return renewed

    def revoke(self, serial: int, reason: str, now: datetime | None = None) -> None:
        """Revokes a certificate of the issuing authority from now on and publishes the list.

        ``reason`` is an RFC 5280 name (``keyCompromise``, ``superseded``, …). Raises `Refused`.
        """
        try:
            flag = x509.ReasonFlags(reason)
        except ValueError:
            raise Refused(
                "bad-reason",
                f"Lý do thu hồi “{reason}” không có trong chuẩn RFC 5280.",
                f"“{reason}” is no reason of RFC 5280.",
            ) from None
        moment = (now or datetime.now(UTC)).replace(microsecond=0)
        with self._guard:
            issuing = [(name, one) for name, one in self._authorities() if name != "root"]
            if not issuing:
                raise KeyMissing("ca-issuing")
            state = self._state()
            entry = {"serial": f"{serial:x}", "at": moment.isoformat(), "reason": flag.value}
            known = state.setdefault("issuing", {}).setdefault("revoked", [])
            if all(one["serial"] != entry["serial"] for one in known):
                known.append(entry)
            self._keep(state)
            for name, authority in issuing:
                self._publish(name, authority, moment)

    def succeed(self, now: datetime | None = None) -> Authority:
        """Another issuing authority from now on; the earlier one goes on to list what it issued. Raises `KeyMissing`.

        Both lists name what either revoked (serial numbers are random, so a stranger's harms nothing): no
        interruption leaves a revoked certificate unlisted.
        """
        moment = now or datetime.now(UTC)
        with self._guard:
            earlier = self.directory.issuing_certificate()
            if earlier is None:
                raise KeyMissing("ca-issuing")
            state = self._state()
            number = state.get("issuing", {}).get("number", 1)
            state.setdefault(f"issuing-{mark_of(earlier)}", {"number": number})
            self._keep(state)
            succeed_issuing(self.store, self.directory, self.status_url)
            for name, authority in self._authorities():
                if name != "root":
                    self._publish(name, authority, moment)
            return self.authority()

    def agency(self, agency: AgencyKeys, approval: Approval = "file", renew: str = "") -> list[int]:
        """Keys and certificates for an agency; gives the serial numbers that went out of use.

        ``renew``: ``sign``, ``decrypt``, ``both``, or "" for an agency that has none yet.
        """
        old = []
        if renew in ("sign", "both"):
            old.append(self.directory.signing_certificate_of_agency(agency.code))
        if renew in ("decrypt", "both"):
            old.append(self.directory.encryption_certificate_of_agency(agency.code))
        add_agency(self.store, self.directory, self.authority(), agency, approval, renew)
        return [one.serial_number for one in old if one is not None]

    def person(
        self,
        person: PersonKey,
        approval: Approval = "file",
        renew: bool = False,
        own: OwnToken | None = None,
    ) -> list[int]:
        """Key and certificate for a person; gives the serial numbers that went out of use."""
        old = self.directory.certificate_of_person(person.address) if renew else None
        add_person(self.store, self.directory, self.authority(), person, approval, renew=renew, own=own)
        return [old.serial_number] if old is not None else []

    def word_on(self, request: bytes) -> bytes:
        """The answer (DER) to an OCSP request about a certificate of the issuing authority. Raises `Refused`."""
        found = b""
        for name, authority in self._authorities():
            own = [one for one in self.directory.crls() if one.issuer == authority.certificate.subject]
            if name == "root" or not own:
                continue
            told = answer(request, authority, max(own, key=lambda one: one.last_update_utc))
            if not is_unauthorized(told):
                return told
            found = found or told
        if not found:
            raise KeyMissing("ca-issuing")
        return found

    def authority(self) -> Authority:
        """The issuing authority. Raises `KeyMissing` when its key is not here."""
        authority = self._authority("ca-issuing")
        if authority is None:
            raise KeyMissing("ca-issuing")
        return authority

    def _authorities(self) -> list[tuple[str, Authority]]:
        """Those whose keys are here, by the names of their lists: root, issuing, and earlier ones until they end."""
        names = {"root": "ca-root", "issuing": "ca-issuing"}
        earlier = (one.partition("~")[2] for one in self.store.names() if one.startswith("ca-issuing~"))
        names |= {f"issuing-{mark}": f"ca-issuing~{mark}" for mark in earlier}
        found = [(name, self._authority(key)) for name, key in names.items()]
        now = datetime.now(UTC)
        return [
            (name, one)
            for name, one in found
            if one is not None and (name in _PRESENT or one.certificate.not_valid_after_utc > now)
        ]

    def _authority(self, key: str) -> Authority | None:
        try:
            return issuing_authority(self.store, self.directory, key, self.status_url)
        except KeyMissing:
            return None

    def _publish(self, name: str, authority: Authority, moment: datetime) -> None:
        state = self._state()
        mine = state.setdefault(name, {})
        mine["number"] = int(mine.get("number", 1)) + 1
        revoked = [
            Revoked(
                int(one["serial"], 16), datetime.fromisoformat(one["at"]), x509.ReasonFlags(one["reason"])
            )
            for one in state.get("root" if name == "root" else "issuing", {}).get("revoked", [])
        ]
        self._keep(state)
        self.directory.put_crl(name, make_crl(authority, mine["number"], revoked, moment))

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads(self.state_file.read_bytes())
        except FileNotFoundError:
            return {}
        if not isinstance(state, dict):
            raise ValueError("authority.json is not an object")
        return state

    def _keep(self, state: dict[str, Any]) -> None:
        write_durably(self.state_file, json.dumps(state, indent=1).encode(), mode=0o600)
