# SPDX-License-Identifier: AGPL-3.0-or-later
"""How other processes ask the signer about keys themselves: issue, renew, list, put by, recover, passkeys.

Every method raises as `SignerClient.ask` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from exchange.signing.protocol import Use
from exchange.signing.signer_client import SignerClient


@dataclass(frozen=True, slots=True)
class Listed:
    """One key. ``days`` until its certificate ends (None: it has none), ``serial`` in hex."""

    name: str
    approval: str
    days: int | None
    serial: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A passkey that approves, or did before it was forgotten: ``at`` µs UTC, ``certificate`` DER."""

    credential: bytes
    at: int
    serial: str
    certificate: bytes
    active: bool


class Keys:
    """The requests of `exchange.signing.key_operations`."""

    def __init__(self, client: SignerClient) -> None:
        self._client = client

    def listing(self) -> Iterator[Listed]:
        """All keys by name, asked for in pages of 500."""
        after, more = "", True
        while more:
            answer = self._client.ask("keys", after=after)
            for one in answer["keys"]:
                yield Listed(**one)
                after = one["name"]
            more = bool(answer["more"]) and bool(answer["keys"])

    def agency(
        self, code: str, name: str, registry: str, who: str, *, approval: str = "file", renew: str = ""
    ) -> tuple[Use, list[int]]:
        """Makes (``renew``: sign, decrypt, both: renews) an agency's keys; (use, serials out of use)."""
        agency = {"code": code, "name": name, "registry": registry}
        answer = self._client.ask("add_agency", agency=agency, who=who, approval=approval, renew=renew)
        return Use(**answer["use"]), [int(one, 16) for one in answer["replaced"]]

    def person(
        self,
        address: str,
        name: str,
        title: str,
        agency: str,
        who: str,
        *,
        approval: str = "file",
        renew: bool = False,
        token: str = "",
        pin: str = "",
    ) -> tuple[Use, list[int]]:
        """Makes or renews a person's key; ``agency`` is its name. Mode token: label and PIN of the person's own."""
        person = {"address": address, "name": name, "title": title, "agency": agency}
        own = {"token": token, "pin": pin} if token else {}
        answer = self._client.ask("add_person", person=person, who=who, approval=approval, renew=renew, **own)
        return Use(**answer["use"]), [int(one, 16) for one in answer["replaced"]]

    def succeed_issuing(self, who: str) -> tuple[Use, str]:
        """Another issuing authority from now on; (use, its name)."""
        answer = self._client.ask("renew_issuing", who=who)
        return Use(**answer["use"]), str(answer["name"])

    def renew_ledger(self, who: str) -> tuple[Use, str]:
        """A new key of the ledger from now on; (use, its vkey)."""
        answer = self._client.ask("renew_ledger", who=who)
        return Use(**answer["use"]), str(answer["vkey"])

    def renew_timestamps(self, who: str) -> Use:
        """A new key of the time-stamp authority from now on."""
        return Use(**self._client.ask("renew_timestamps", who=who)["use"])

    def put_by(
        self, code: str, officers: Sequence[tuple[str, bytes]], threshold: int, who: str
    ) -> tuple[bytes, Use]:
        """The recovery file of an agency's decryption keys. ``officers``: (name, public key PEM)."""
        people = [{"name": name, "key": key} for name, key in officers]
        answer = self._client.ask("put_by", code=code, officers=people, threshold=threshold, who=who)
        return cast(bytes, answer["file"]), Use(**answer["use"])

    def recover(self, file: bytes, shares: Sequence[str], who: str) -> tuple[list[str], Use]:
        """Takes an agency's decryption keys back; the names of those that were missing."""
        answer = self._client.ask("recover", file=file, shares=list(shares), who=who)
        return cast(list[str], answer["restored"]), Use(**answer["use"])

    def invite_passkey(
        self, address: str, name: str, title: str, agency: str, code: str, who: str
    ) -> tuple[str, Use]:
        """The code with which a person enrols a passkey; ``code`` is the agency's."""
        holder = {"address": address, "name": name, "title": title, "agency": agency, "code": code}
        answer = self._client.ask("invite_passkey", holder=holder, who=who)
        return cast(str, answer["code"]), Use(**answer["use"])

    def passkey_challenge(self, address: str) -> tuple[bytes, str]:
        """(a challenge for enrolling, the host it is for)."""
        answer = self._client.ask("passkey_challenge", address=address)
        return cast(bytes, answer["challenge"]), str(answer["host"])

    def enrol_passkey(self, address: str, code: str, response: str) -> tuple[bytes, Use]:
        """Takes a passkey; its credential id."""
        answer = self._client.ask("enrol_passkey", address=address, code=code, response=response)
        return cast(bytes, answer["credential"]), Use(**answer["use"])

    def passkeys(self, address: str) -> list[Enrolled]:
        """The passkeys that may approve for a person."""
        return [one for one in self.passkeys_ever(address) if one.active]

    def passkeys_ever(self, address: str) -> list[Enrolled]:
        """Those, and the ones that were forgotten: evidence of what they approved needs their certificates."""
        answer: dict[str, Any] = self._client.ask("passkeys", address=address)
        return [Enrolled(**one) for one in answer["passkeys"]]

    def forget_passkey(self, address: str, credential: bytes, who: str) -> Use:
        """Ends a lost passkey and revokes its certificate."""
        return Use(
            **self._client.ask("forget_passkey", address=address, credential=credential, who=who)["use"]
        )
