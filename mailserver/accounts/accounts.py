# SPDX-License-Identifier: AGPL-3.0-or-later
"""The people and agencies of the installation: look-up and signing in.

`Accounts.authenticate` is the only place that decides whether a password opens an account.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from config.clock import now_us
from config.database import Database
from config.refusal import Refused
from config.seal import Seal
from config.statement import Statement
from mailserver.accounts import certificates, delegations, passwords, schema, scram, shared, throttling
from mailserver.accounts.delegations import Delegation
from mailserver.accounts.model import Account, AccountRef, Agency, canonical, domain_of
from mailserver.accounts.shared import SharedAddress
from mailserver.accounts.uses import Uses
from policy.ledger.entries import record

_FRESH_S = 2.0
_SECRETS = Statement(
    sa.select(schema.credential.c.secret).where(
        schema.credential.c.agency == sa.bindparam("in_agency"),
        schema.credential.c.account == sa.bindparam("of_account"),
        schema.credential.c.kind == sa.bindparam("of_kind"),
    )
)


class BadCredentials(Refused):
    """The address or the password is wrong; which of them is not said."""

    def __init__(self) -> None:
        super().__init__(
            "bad-credentials",
            "Địa chỉ hoặc mật khẩu không đúng. Ứng dụng thư cần mật khẩu ứng dụng, không phải mật khẩu trang web.",
            "Wrong address or password. Mail programs need an app password, not the one of the web page.",
        )


@dataclass(slots=True)
class _Directory:
    at: float
    agencies: dict[int, Agency]
    by_code: dict[str, Agency]
    by_domain: dict[str, Agency]
    by_address: dict[str, Account]
    by_ref: dict[AccountRef, Account]
    shared: dict[str, SharedAddress]
    lent: dict[str, list[str]]
    delegations: list[Delegation]
    delegated_to: dict[AccountRef, list[Delegation]]
    empty: dict[str, bool] = field(default_factory=dict)


class Accounts:
    """Reads the directory (kept in memory, refreshed when it changed) and checks credentials."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self.database = database
        self.seal = seal
        self.uses = Uses(seal)
        self._directory: _Directory | None = None
        self._generation = -1
        self._lock = threading.Lock()

    # --- the directory

    def by_address(self, address: str) -> Account | None:
        """The account of ``address``, in any spelling of case; None when there is none."""
        try:
            return self._now().by_address.get(canonical(address))
        except Refused:
            return None

    def by_ref(self, ref: AccountRef) -> Account | None:
        """The account with this key."""
        return self._now().by_ref.get(ref)

    def agency(self, code: str) -> Agency | None:
        """The agency with the public code ``code`` (new or old form)."""
        return self._now().by_code.get(code)

    def agency_number(self, number: int) -> Agency | None:
        """The agency with this number."""
        return self._now().agencies.get(number)

    def agency_of_domain(self, domain: str) -> Agency | None:
        """The agency whose mail domain this is, here or elsewhere."""
        return self._now().by_domain.get(domain.lower())

    def home_of_domain(self, domain: str) -> Agency | None:
        """The agency whose mail domain is served here."""
        found = self.agency_of_domain(domain)
        return None if found is None or found.elsewhere else found

    def is_ours(self, address: str) -> bool:
        """Whether the domain of ``address`` is one of ours (the account may be missing)."""
        return self.home_of_domain(domain_of(address)) is not None

    def agencies(self) -> list[Agency]:
        """All agencies, by code."""
        return sorted(self._now().agencies.values(), key=lambda one: one.code)

    def all(self) -> list[Account]:
        """All accounts."""
        return list(self._now().by_ref.values())

    def members(self, code: str, role: str | None = None) -> list[Account]:
        """The accounts of one agency (of one role)."""
        return [
            one
            for one in self._now().by_ref.values()
            if one.agency_code == code and (role is None or one.role == role)
        ]

    def directory(self, prefix: str, limit: int = 10) -> list[Account]:
        """Accounts whose address, name or title holds ``prefix``, for completion."""
        wanted = prefix.casefold()
        found = [
            one
            for one in self._now().by_ref.values()
            if wanted in one.address or wanted in one.name.casefold() or wanted in one.title.casefold()
        ]
        return sorted(found, key=lambda one: (not one.address.startswith(wanted), one.address))[:limit]

    def shared(self, address: str) -> SharedAddress | None:
        """The alias, group or list with this address; None when there is none."""
        try:
            return self._now().shared.get(canonical(address))
        except Refused:
            return None

    def lent_to(self, account: Account) -> list[str]:
        """The shared addresses an account may write in the name of."""
        return self._now().lent.get(account.address, [])

    def is_empty(self, of: SharedAddress) -> bool:
        """Whether a shared address stands for nobody now; looked up once for each state of the directory."""
        known = self._now().empty
        if of.address not in known:
            known[of.address] = not shared.members(self, of)
        return known[of.address]

    def all_shared(self) -> list[SharedAddress]:
        """All aliases, groups and lists, by address."""
        return sorted(self._now().shared.values(), key=lambda one: one.address)

    def delegations(self) -> list[Delegation]:
        """Who acts for whom, past and future ones too."""
        return self._now().delegations

    def delegated_to(self, deputy: AccountRef) -> list[Delegation]:
        """What was delegated to one account, past and future too."""
        return self._now().delegated_to.get(deputy, [])

    def forget(self) -> None:
        """Read the directory anew at the next look (after a change in this process)."""
        self._directory = None

    def _now(self) -> _Directory:
        known = self._directory
        if known is not None and time.monotonic() - known.at < _FRESH_S:
            return known
        with self._lock:
            if self._directory is not None and time.monotonic() - self._directory.at < _FRESH_S:
                return self._directory
            with self.database.reading() as conn:
                generation = (
                    conn.execute(
                        sa.select(schema.counter.c.next).where(
                            schema.counter.c.agency == 0, schema.counter.c.kind == "directory"
                        )
                    ).scalar()
                    or 0
                )
                if self._directory is None or generation != self._generation:
                    self._directory = self._load(conn)
                    self._generation = generation
            self._directory.at = time.monotonic()
            return self._directory

    def _load(self, conn: sa.Connection) -> _Directory:
        agencies = {row.agency: _agency(row) for row in conn.execute(sa.select(schema.agency))}
        by_ref: dict[AccountRef, Account] = {}
        for row in conn.execute(sa.select(schema.account)):
            ref = AccountRef(row.agency, row.account)
            told = json.loads(self.seal.open(row.sealed, _account_aad(ref)))
            home = agencies[row.agency]
            by_ref[ref] = Account(
                ref,
                told["address"],
                told["name"],
                told["title"],
                row.role,
                home.code,
                home.name,
                row.state,
                frozenset(told.get("masked", ())),
            )
        common = {one.address: one for one in shared.load(conn, self.seal)}
        acting = delegations.load(conn)
        delegated_to: dict[AccountRef, list[Delegation]] = {}
        for one in acting:
            delegated_to.setdefault(one.deputy, []).append(one)
        codes = {one.old_code: one for one in agencies.values() if one.old_code}
        codes |= {one.code: one for one in agencies.values()}
        return _Directory(
            at=time.monotonic(),
            agencies=agencies,
            by_code=codes,
            by_domain={one.domain: one for one in agencies.values()},
            by_address={one.address: one for one in by_ref.values()},
            by_ref=by_ref,
            shared=common,
            lent=shared.senders(common.values()),
            delegations=acting,
            delegated_to=delegated_to,
        )

    # --- signing in

    def authenticate(self, protocol: str, address: str, password: str, client: str) -> Account:
        """The account that ``password`` opens by ``protocol`` (``imap``, ``submission``, ``web``).

        ``client`` is the network address it came from. Raises `BadCredentials`,
        `throttling.Throttled`, or `Refused` (``account-locked``). Blocks for a slow hash on the web:
        call it in a thread.
        """
        kind = passwords.OWN if protocol == "web" else passwords.APP

        def fits(stored: list[bytes]) -> bytes | None:
            if not stored:
                passwords.spend_the_time_of_a_check(kind, password)
            return next((one for one in stored if passwords.matches(kind, one, password)), None)

        found, kept = self._open(protocol, address, client, kind, fits, password)
        if kind == passwords.APP:
            salt = self.scram_salt(found.address)
            if passwords.scram_keys(kept, salt) is None:
                self.uses.renew(found.ref, kept, passwords.with_keys(kept, password, salt))
        return found

    def scram_salt(self, name: str) -> bytes:
        """The salt of SCRAM for a name, whether there is such an account or not."""
        return passwords.scram_salt(self.seal, name)

    def authenticate_at_once(self, protocol: str, address: str, password: str, client: str) -> Account | None:
        """`authenticate` where an app password opens the account and nothing has to be written: a few point reads, for
        an event loop. None in every other case, also for a wrong password: then ask `authenticate` in a thread.
        """
        name = address.strip().lower()[:254]
        try:
            failed, found, stored = self._looked(name, client, passwords.APP)
        except throttling.Throttled:
            return None
        kept = next((one for one in stored if passwords.matches(passwords.APP, one, password)), None)
        if protocol == "web" or failed or found is None or kept is None or found.state != "active":
            return None
        if passwords.scram_keys(kept, self.scram_salt(found.address)) is None:
            return None  # they are made now, which takes long
        self.uses.note(found.ref, kept, client)
        return found

    def authenticate_scram(
        self, protocol: str, name: str, client: str, proof: scram.Proof
    ) -> tuple[Account, bytes]:
        """The account whose app password a SCRAM client has proven to know, and the server's last message.

        Raises as `authenticate`.
        """

        def fits(stored: list[bytes]) -> bytes | None:
            for one in stored or [bytes(48) + proof.salt + bytes(64)]:
                keys = passwords.scram_keys(one, proof.salt)
                if keys is not None and proof.fits(keys):
                    return one
            return None

        account, kept = self._open(protocol, name, client, passwords.APP, fits, proof.mark)
        keys = passwords.scram_keys(kept, proof.salt)
        assert keys is not None
        return account, proof.answer(keys)

    def authenticate_certificate(
        self, protocol: str, certificate: bytes, name: str, client: str, vouched: Sequence[str]
    ) -> Account:
        """The account that the certificate (DER) of a TLS client opens, whose key the handshake proved (RFC 4422 App. A).

        ``name`` is whom it wants to act as, "" for whom the certificate names: the account it is pinned to
        (`mailserver.accounts.certificates`), or the first of ``vouched``, the addresses in it that an authority
        we trust vouches for. Registry mailboxes are opened by nobody. Raises as `authenticate`.
        """
        mark = certificates.fingerprint(certificate)
        if not name:
            with self.database.reading() as conn:
                holder = certificates.holder(conn, mark)
            pinned_to = self.by_ref(holder) if holder is not None else None
            known = (one for one in vouched if self.by_address(one) is not None)
            name = pinned_to.address if pinned_to is not None else next(known, "")
        person = self.by_address(name)
        may = person is not None and person.role not in ("registry", "system")

        def fits(stored: list[bytes]) -> bytes | None:
            trusted = person is not None and person.address in {one.strip().lower() for one in vouched}
            return mark if may and (trusted or mark in stored) else None

        try:
            return self._open(protocol, name, client, certificates.KIND, fits, mark.hex())[0]
        except BadCredentials:
            raise certificates.OpensNothing from None

    def _open(
        self,
        protocol: str,
        address: str,
        client: str,
        kind: str,
        fits: Callable[[list[bytes]], bytes | None],
        guess: str,
    ) -> tuple[Account, bytes]:
        """The account and the kept secret that ``fits``; ``guess`` tells guesses apart for the throttle."""
        name = address.strip().lower()[:254]
        failed, found, stored = self._looked(name, client, kind)
        kept = fits(stored)
        if found is None or kept is None:
            self.database.write(lambda conn: self._refuse(conn, protocol, name, client, guess))
            raise BadCredentials
        if found.state != "active":
            raise Refused(
                "account-locked",
                "Tài khoản đang bị khóa. Liên hệ cán bộ CNTT của cơ quan để mở lại.",
                "This account is locked. Ask your agency's officer to open it again.",
            )
        if failed:
            self.database.write(lambda conn: throttling.forgive(conn, self.seal, name, client))
        if kind != passwords.OWN:
            self.uses.note(found.ref, kept, client)
        return found, kept

    def _looked(self, name: str, client: str, kind: str) -> tuple[bool, Account | None, list[bytes]]:
        """(whether there were failures lately, the account, its kept secrets). Raises `throttling.Throttled`."""
        found = self.by_address(name)
        with self.database.reading() as conn:
            failed = throttling.check(conn, self.seal, name, client)
            return failed, found, [] if found is None else self._secrets(conn, found.ref, kind)

    def _secrets(self, conn: sa.Connection, ref: AccountRef, kind: str) -> list[bytes]:
        found = _SECRETS.rows(conn, in_agency=ref.agency, of_account=ref.account, of_kind=kind)
        return [bytes(row[0]) for row in found]

    def _refuse(self, conn: sa.Connection, protocol: str, name: str, client: str, password: str) -> None:
        """Count it, and write ONE ledger entry for account, source and minute (DESIGN 4.11)."""
        minute = now_us() // 60_000_000
        mark = self.seal.digest("failed-sign-in", f"{name}|{client}|{minute}".encode())
        first = conn.execute(sa.select(schema.throttle.c.who).where(schema.throttle.c.who == mark)).first()
        throttling.note_failure(conn, self.seal, name, client, password)
        if first is None:
            conn.execute(sa.insert(schema.throttle).values(who=mark, secret=mark, at_us=now_us()))
            detail = {"address": name, "protocol": protocol, "source": client}
            record(conn, self.seal, "account.sign-in-failed", name, detail)


def _account_aad(ref: AccountRef) -> bytes:
    return f"account {ref.agency}.{ref.account}".encode()


def _agency(row: Any) -> Agency:
    return Agency(
        row.agency,
        row.code,
        row.old_code,
        row.parent,
        row.name,
        row.short,
        row.domain,
        row.place,
        row.level,
        AccountRef(row.agency, row.registry_account),
        row.registry_address,
        row.to_us,
        row.successor,
        bool(row.elsewhere),
    )
