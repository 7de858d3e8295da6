# SPDX-License-Identifier: AGPL-3.0-or-later
"""The parts of the installation that official documents need, put together once.

`Exchange.of` takes them from whoever opened the installation; every act of the rooms `documents`,
`registers` and `receiving` gets this one value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from cryptography import x509

from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from config.settings import Settings
from config.wake import Wake
from exchange.documents.files import Files
from exchange.signing.signer_client import Opened, SignerClient
from exchange.signing.timestamp_client import TimestampClient
from exchange.trust.directory import TrustDirectory
from exchange.trust.fetching import Fetcher
from exchange.trust.holding import facts_of
from exchange.trust.subject import subject_of
from mailserver.accounts import Account, Accounts, Agency
from mailserver.store import Store
from policy.judge import Finding, judge
from policy.ledger.succession import LogKeys
from policy.rulebook import Rulebook


class Parts(Protocol):
    """What an opened installation offers (`congvan.installation.Installation`)."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def seal(self) -> Seal: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def store(self) -> Store: ...
    @property
    def wake(self) -> Wake: ...
    @property
    def rulebook(self) -> Rulebook: ...


@dataclass(frozen=True, eq=False)
class Exchange:
    """Everything an act on documents works with. Blocking acts run in threads, never on an event loop."""

    settings: Settings
    database: Database
    seal: Seal
    accounts: Accounts
    store: Store
    wake: Wake
    rulebook: Rulebook
    signer: SignerClient
    trust: TrustDirectory
    files: Files

    @classmethod
    def of(cls, parts: Parts, signer: SignerClient | None = None) -> Exchange:
        """The exchange of an installation; ``signer`` when its socket is not the usual one."""
        settings = parts.settings
        return cls(
            settings,
            parts.database,
            parts.seal,
            parts.accounts,
            parts.store,
            parts.wake,
            parts.rulebook,
            signer or SignerClient(settings.run_dir / "signer.sock"),
            TrustDirectory(settings.trust_dir),
            Files(settings.data_dir / "documents"),
        )

    @property
    def ledger_keys(self) -> LogKeys:
        """The public keys of our own ledger, as of now. Raises `Refused` when they are not published."""
        found = self.trust.ledger_keys()
        if found is None:
            raise Refused(
                "no-ledger-key",
                "Chưa có khóa công khai của sổ nhật ký (trust/ledger.vkey).",
                "The ledger's public key (trust/ledger.vkey) is missing.",
            )
        return found

    def stamp(self, digest: bytes) -> bytes:
        """A time-stamp token over a SHA-256 digest, of the first authority in order that answers soundly.

        Raises `Unavailable` when none does.
        """
        return self._authorities.stamp(digest)

    @cached_property
    def _authorities(self) -> TimestampClient:
        told = self.settings.timestamps
        return TimestampClient(tuple(told.order), told.seconds, self.signer.timestamp, self.trust.anchors)

    @cached_property
    def fetcher(self) -> Fetcher:
        """Fetches words on revocation before something that came is judged."""
        return self.new_fetcher()

    def new_fetcher(self) -> Fetcher:
        """Another one, for another thread."""
        return Fetcher(self.trust, self.settings.exchange.revocation_seconds)

    def approval_of_person(self, address: str) -> str:
        """How each use of a person's key is approved: passkey, token, file; "" without a key or a word."""
        found = self.trust.certificate_of_person(address)
        return subject_of(found).approval if found is not None else ""

    def ending_of_person(self, address: str) -> Finding | None:
        """What R-SIG-21 says of a person's certificate, when it ends soon or is revoked."""
        return self._ending(self.trust.certificate_of_person(address), address)

    def ending_of_seal(self, code: str) -> Finding | None:
        """The same of an agency's seal."""
        return self._ending(self.trust.signing_certificate_of_agency(code), self.agency(code).name)

    def _ending(self, certificate: x509.Certificate | None, holder: str) -> Finding | None:
        facts = facts_of(certificate, holder, self.trust.anchors(), "periodic")
        return next(iter(judge(facts, self.rulebook).findings), None)

    def approval_of_seal(self, code: str) -> str:
        """The same of the key of an agency's seal."""
        found = self.trust.signing_certificate_of_agency(code)
        return subject_of(found).approval if found is not None else ""

    # --- people and agencies

    def agency(self, code: str) -> Agency:
        """The agency with this code. Raises `Refused` (``no-such-agency``)."""
        found = self.accounts.agency(code.strip())
        if found is None:
            raise Refused(
                "no-such-agency",
                f"Không có cơ quan mã {code[:50]}. Xem `congvan agency list`.",
                f"There is no agency {code[:50]}. See `congvan agency list`.",
                rule="R-MET-05",
            )
        return found

    def agency_numbered(self, number: int) -> Agency:
        """The agency with this number at birth. Raises `Refused`."""
        found = self.accounts.agency_number(number)
        if found is None:
            raise Refused("no-such-agency", f"Không có cơ quan số {number}.", f"No agency {number}.")
        return found

    def person(self, address: str, agency: Agency, *roles: str) -> Account:
        """The active account of ``address`` in ``agency`` with one of ``roles``. Raises `Refused`."""
        found = self.accounts.by_address(address)
        if found is None or found.state != "active" or found.agency_code != agency.code:
            raise Refused(
                "not-of-agency",
                f"{address[:100]} không phải là tài khoản đang hoạt động của {agency.name}.",
                f"{address[:100]} is no active account of {agency.name}.",
                rule="R-ORG-05",
            )
        if found.role not in roles:
            raise Refused(
                "wrong-role",
                f"{address} có vai trò {found.role}; việc này của {', '.join(roles)}.",
                f"{address} is a {found.role}; this is an act of {', '.join(roles)}.",
                rule="R-SIG-03" if "clerk" in roles else "R-SIG-05",
            )
        return found

    # --- keys of documents

    def new_document_key(self, code: str) -> tuple[bytes, bytes]:
        """(a fresh key, the same wrapped for the document's row). Raises `Unavailable`."""
        return self.signer.wrap_document_key(code)

    def document_key(self, code: str, wrapped: bytes, purpose: str, who: str) -> Opened:
        """The key of a document with the use for the ledger; ``purpose``: ``receive`` or ``open``."""
        return self.signer.unwrap_document_key(code, wrapped, purpose, who)
