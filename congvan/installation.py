# SPDX-License-Identifier: AGPL-3.0-or-later
"""Finding the installation and opening its parts (DESIGN §5: no command needs ``-c``)."""

from __future__ import annotations

import argparse
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from config.database import Database
from config.refusal import Refused, Unavailable
from config.seal import Seal, open_keyring
from config.settings import Settings
from config.settings_file import read
from config.wake import Wake
from mailserver.accounts import Account, Accounts, Agency
from mailserver.delivery import Delivery
from mailserver.dns import Resolver
from mailserver.hygiene.screening import Screening, resolver_of, scanner_of
from mailserver.queue.exchangers import Exchangers
from mailserver.search.searching import Searches
from mailserver.senderauth.mta_sts import HttpsFetch, TlsPolicies
from mailserver.store import Store
from mailserver.store.quota import Limits
from mailserver.store.segments import Segments
from mailserver.store.storage import BlobStorage
from policy.ledger.store import Sequencer
from policy.rulebook import Rulebook, load

if TYPE_CHECKING:  # the exchange brings PDF and XML libraries along; the mail process needs none of them
    from exchange.exchange import Exchange
    from exchange.signing.signer import SignerSettings
    from exchange.signing.signer_client import SignerClient
    from exchange.signing.token_module import TokenPlace
    from exchange.trust.directory import TrustDirectory
    from mailserver.store.objects import Objects

_PLACES = ("province.toml", "demo/province.toml", "/etc/congvan/province.toml")


def find_settings(args: argparse.Namespace) -> Settings:
    """The settings of ``-c``, ``$CONGVAN_CONFIG``, ``./province.toml``, ``./demo/…``, ``/etc/congvan/…``.

    Raises `Unavailable` when there is no installation.
    """
    named = getattr(args, "config", None) or os.environ.get("CONGVAN_CONFIG")
    for place in [named] if named else _PLACES:
        path = Path(place)
        if path.is_file():
            return read(path)
    raise Unavailable(
        "no-installation",
        f"Không tìm thấy cấu hình ({named or ', '.join(_PLACES)}). Chạy `congvan demo` hoặc chỉ rõ bằng -c.",
        f"No settings file found ({named or ', '.join(_PLACES)}). Run `congvan demo` or name it with -c.",
    )


def optional_settings(args: argparse.Namespace) -> Settings | None:
    """`find_settings`, or None when there is no installation here (offline commands)."""
    try:
        return find_settings(args)
    except Unavailable:
        if getattr(args, "config", None):
            raise
        return None


def open_database(settings: Settings) -> Database:
    """The database of the installation."""
    return Database(settings.database_url, settings.run_dir / "write.lock")


def open_seal(settings: Settings) -> Seal:
    """The seal of the installation."""
    return open_keyring(settings.master_key, settings.keyring)


def open_storage(settings: Settings) -> BlobStorage:
    """Where message bytes lie by the settings; files that are left from before a bucket was set are on their way there."""
    if not settings.store.s3_bucket:
        return Segments(settings.data_dir / "segments")
    objects, files = open_objects(settings), settings.data_dir / "segments"
    if next(files.glob("*.segment"), None) is None:
        return objects
    from mailserver.store.relocating import Relocating

    return Relocating(Segments(files), objects)


def open_objects(settings: Settings) -> Objects:
    """The objects in the bucket that the settings name. Raises `Refused` (``bad-settings``)."""
    from mailserver.store.objects import Bucket, Objects, open_bucket

    own = settings.store
    if not own.s3_bucket:
        raise Refused(
            "bad-settings",
            f"{settings.file}: [store] s3_bucket chưa nêu kho S3 nào.",
            f"{settings.file}: [store] s3_bucket names no bucket.",
        )
    credentials = settings.at(own.s3_credentials)
    bucket = Bucket(own.s3_bucket, own.s3_prefix, own.s3_endpoint, own.s3_region, credentials)
    return Objects(open_bucket(bucket), own.cache_mb << 20)


def open_rulebook(settings: Settings | None) -> Rulebook:
    """The rulebook in force: the installation's own, else the one that comes with the program."""
    own = settings.paths.rulebook if settings is not None else ""
    return load(settings.at(own) if settings is not None and own else None)


class Installation:
    """The parts of one installation, each opened when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.run_dir.mkdir(parents=True, exist_ok=True)

    @cached_property
    def seal(self) -> Seal:
        """Keys of rows and blobs."""
        return open_seal(self.settings)

    @cached_property
    def database(self) -> Database:
        """Rows."""
        return open_database(self.settings)

    @cached_property
    def wake(self) -> Wake:
        """Wake-ups."""
        url, folder = self.settings.database_url, self.settings.run_dir
        if not url.startswith("postgresql"):
            return Wake(folder)
        from config.wake_nodes import Nodes  # brings the driver along

        return Wake(folder, Nodes(url, folder))

    @cached_property
    def accounts(self) -> Accounts:
        """People and agencies."""
        return Accounts(self.database, self.seal)

    @cached_property
    def segments(self) -> BlobStorage:
        """Blobs: files here, or objects in a bucket."""
        return open_storage(self.settings)

    @cached_property
    def store(self) -> Store:
        """Mail."""
        own = self.settings.store
        limits = Limits(own.account_quota_mb << 20, own.agency_quota_mb << 20, own.quota_warn_percent)
        return Store(self.database, self.seal, self.segments, self.wake, limits)

    @cached_property
    def searches(self) -> Searches:
        """What searches of this process share."""
        return Searches(self.store)

    @cached_property
    def rulebook(self) -> Rulebook:
        """The rules in force."""
        return open_rulebook(self.settings)

    @cached_property
    def delivery(self) -> Delivery:
        """The one door."""
        return Delivery(
            self.store,
            self.accounts,
            self.rulebook,
            self.settings.mail.max_message_bytes,
            scanner_of(self.settings),
            self.settings.filters,
        )

    @cached_property
    def resolver(self) -> Resolver | None:
        """The DNS, None when it is not to be asked."""
        return resolver_of(self.settings)

    @cached_property
    def exchangers(self) -> Exchangers | None:
        """Servers of other domains, None when the DNS is not to be asked."""
        if self.resolver is None:
            return None
        policies = TlsPolicies(self.database, self.resolver, HttpsFetch(self.resolver))
        return Exchangers(self.resolver, policies)

    @cached_property
    def screening(self) -> Screening:
        """What mail from outside is asked before it is taken."""
        return Screening(self.store, self.accounts, self.settings, self.resolver)

    @cached_property
    def signer(self) -> SignerClient:
        """The signer process."""
        from exchange.signing.signer_client import SignerClient

        return SignerClient(self.settings.run_dir / "signer.sock")

    @cached_property
    def trust(self) -> TrustDirectory:
        """Certificates."""
        from exchange.trust.directory import TrustDirectory

        return TrustDirectory(self.settings.trust_dir)

    @cached_property
    def exchange(self) -> Exchange:
        """Official documents."""
        from exchange.exchange import Exchange

        return Exchange.of(self, self.signer)

    @cached_property
    def sequencer(self) -> Sequencer:
        """The ledger's sequencer. Raises `Refused` when the ledger has no key."""
        return Sequencer(
            self.database,
            self.settings.ledger_dir,
            lambda: self.exchange.ledger_keys,
            lambda key, body: self.signer.checkpoint(body, key.hash.hex()),
        )

    def account(self, address: str) -> Account:
        """The account with an address. Raises `Refused` (``no-such-account``)."""
        found = self.accounts.by_address(address)
        if found is None:
            raise Refused(
                "no-such-account", f"Không có tài khoản {address}.", f"There is no account {address}."
            )
        return found

    def agency(self, code: str) -> Agency:
        """The agency with a code. Raises `Refused` (``no-such-agency``)."""
        found = self.accounts.agency(code)
        if found is None:
            raise Refused(
                "no-such-agency",
                f"Không có cơ quan mã {code}. Xem `congvan agency list`.",
                f"There is no agency with the code {code}. See `congvan agency list`.",
            )
        return found

    def close(self) -> None:
        """Finish writes and close files."""
        opened = self.__dict__
        if "database" in opened:
            self.database.close()
        if "segments" in opened:
            self.segments.close()


def refuse_when_down(problem: OSError) -> Refused:
    """What a command says when the installation's socket does not answer."""
    return Unavailable(
        "not-running",
        "Hệ thống chưa chạy. Khởi động bằng `congvan serve` (hoặc `congvan demo`) rồi thử lại.",
        f"The installation is not running ({problem.strerror}). Start it with `congvan serve` or `congvan demo`.",
    )


def signer_settings(settings: Settings) -> SignerSettings:
    """Where the signer finds its things."""
    from exchange.signing.signer import SignerSettings

    return SignerSettings(
        socket=settings.run_dir / "signer.sock",
        keys=settings.data_dir / "signer",
        secret=settings.at(settings.paths.signer_secret),
        trust=settings.trust_dir,
        origin=settings.installation.origin,
        token=_token(settings),
        host=settings.passkey_host,
        origins=settings.passkey_origins,
        status_url=settings.signer.status_url,
    )


def _token(settings: Settings) -> TokenPlace | None:
    """The PKCS #11 token, when one is set."""
    from exchange.signing.token_module import TokenPlace

    told = settings.signer
    if not told.pkcs11_module:
        return None
    return TokenPlace(Path(told.pkcs11_module), told.pkcs11_token, settings.at(told.pkcs11_pin_file))
