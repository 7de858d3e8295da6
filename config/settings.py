# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an installation can be set to: documented dataclasses, each key with its explanation beside it.

`config.settings_file` reads them from ``province.toml`` and writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _key(default: Any, doc: str) -> Any:
    if isinstance(default, (dict, list)):
        value = default
        return field(default_factory=value.copy, metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Installation:
    """Who this installation is."""

    name: str = _key("Tỉnh", "Shown on pages and in the SMTP and IMAP greetings.")
    tls_name: str = _key("localhost", "Host name of the mail server; its TLS certificate names it.")
    origin: str = _key("congvan.localhost/ledger", "Name of the ledger in its signed checkpoints.")
    demo: bool = _key(False, "True only in a demo: file-approved keys, short waits, relaxed passwords.")


@dataclass(frozen=True)
class Paths:
    """Where things lie; relative paths start from the folder of this file."""

    data: str = _key("data", "Database, segments, ledger, trust.")
    run: str = _key("run", "Sockets and pids; a short path (a socket's name has 107 bytes at most).")
    master_key: str = _key("secrets/master.key", "32 random bytes; keep them out of the data's backup.")
    signer_secret: str = _key("secrets/signer.key", "Opens the signer's key store; only the signer reads it.")
    rulebook: str = _key("", "A rulebook of your own; empty: the one that comes with the program.")


@dataclass(frozen=True)
class DatabaseSettings:
    """Where rows are kept."""

    url: str = _key("", "SQLAlchemy address; empty: SQLite in the data folder.")


@dataclass(frozen=True)
class Listen:
    """Addresses to listen on, ``host:port``; empty: not served."""

    smtp: str = _key("127.0.0.1:12025", "Mail from other servers (MX).")
    submission: str = _key("127.0.0.1:12587", "Mail from our people, STARTTLS (RFC 6409).")
    submissions: str = _key("127.0.0.1:12465", "Mail from our people, implicit TLS (RFC 8314).")
    lmtp: str = _key(
        "", "Mail from an MTA of your own in front (RFC 2033): host:port, or unix:run/lmtp.sock."
    )
    imap: str = _key("127.0.0.1:12143", "IMAP with STARTTLS.")
    imaps: str = _key("127.0.0.1:12993", "IMAP, implicit TLS.")
    web: str = _key("127.0.0.1:12443", "The pages, HTTPS.")
    public: str = _key("127.0.0.1:12444", "The public look-up of documents, HTTPS.")
    status: str = _key(
        "", "Status of our certificates (OCSP, revocation lists), HTTP: what [signer] status_url leads to."
    )


@dataclass(frozen=True)
class Tls:
    """The certificate of mail and web."""

    certificate: str = _key("tls/server.pem", "Certificate chain, PEM.")
    key: str = _key("tls/server.key", "Private key, PEM.")
    client_certificates: bool = _key(False, "Ask mail programs for certificates to sign in with.")


@dataclass(frozen=True)
class Mail:
    """Limits of official mail."""

    processes: int = _key(0, "Processes that serve SMTP and IMAP; 0: one a core, at most 4.")
    max_message_bytes: int = _key(25 * 1024 * 1024, "Largest message accepted, in bytes.")
    max_recipients: int = _key(1000, "Recipients of one message, at most.")
    plaintext_on_loopback: bool = _key(
        False, "Let IMAP and submission take a password without TLS from this very machine."
    )
    public_providers_reason: bool = _key(
        True, "Ask for a reason when official mail goes to a public mail provider (R-MAIL-01)."
    )


@dataclass(frozen=True)
class Dns:
    """Look-ups in the DNS: who sent a mail, where it goes."""

    enabled: bool = _key(
        False, "Ask the DNS: SPF, DKIM, DMARC of mail that comes in, MTA-STS of mail that leaves."
    )
    servers: list[str] = _key([], "Resolvers, address or address:port; empty: the system's.")
    timeout: float = _key(5.0, "Seconds for one look-up with its retries.")


@dataclass(frozen=True)
class Hygiene:
    """What is asked of mail from outside before it is taken."""

    trusted_networks: list[str] = _key(
        ["127.0.0.0/8", "::1/128"], "Mail from these networks is taken without asking who sent it."
    )
    check_seconds: float = _key(15.0, "All look-ups for one message together; then it is tried again later.")
    scanner: str = _key("", "A clamd: path of its socket, or host:port; empty: mail is shown as not scanned.")
    scanner_fail_closed: bool = _key(
        True, "Without the scanner's answer mail waits (4xx); false: not scanned."
    )
    scanner_seconds: float = _key(60.0, "Seconds for one scan.")
    scanner_max_bytes: int = _key(25 * 1024 * 1024, "Larger messages are not given to the scanner.")
    greylist_minutes: int = _key(0, "A stranger's first mail waits so many minutes; 0: no greylisting.")
    greylist_days: int = _key(36, "A sender who came back is known for so many days.")
    block_lists: list[str] = _key([], "DNS block lists of addresses (DNSBL), such as zen.example.org.")
    spam_filter: bool = _key(True, "Mail that the trained filter takes for spam goes to Thư rác.")
    spam_above: float = _key(0.95, "From this probability on a mail is spam.")


@dataclass(frozen=True)
class Store:
    """Where message bytes lie and how much of them is kept."""

    s3_bucket: str = _key("", "Bucket of an S3-compatible store for message bytes; empty: data/segments.")
    s3_prefix: str = _key("", "Folder in the bucket.")
    s3_endpoint: str = _key("", "Address of the store, https://host:port; empty: that of the region.")
    s3_region: str = _key("us-east-1", "Region of the bucket.")
    s3_credentials: str = _key("secrets/s3.json", "JSON file with access_key_id and secret_access_key.")
    cache_mb: int = _key(64, "Memory for message bytes read from the bucket, in MiB a process.")
    account_quota_mb: int = _key(10_240, "Mail an account may keep, in MiB; 0: no limit of its own.")
    agency_quota_mb: int = _key(0, "Mail all accounts of an agency may keep together, in MiB; 0: no limit.")
    quota_warn_percent: int = _key(90, "From this share of a quota on people are warned.")
    compact_percent: int = _key(50, "Segments are rewritten when so much of them is waste; 0: never.")
    vault_days: int = _key(30, "Expunged mail can be restored for so many days; then its key is dropped.")


@dataclass(frozen=True)
class Backup:
    """Backups are encrypted to a key whose private part is never on the server."""

    recipient: str = _key("", "Public key, age1…; `congvan backup key` makes the pair.")


@dataclass(frozen=True)
class Queue:
    """How mail leaves this machine."""

    routes: dict[str, str] = _key(
        {},
        "Recipient domain -> server that takes its mail, '*' the smarthost: [tls://][user@]host:port; tls:// insists on"
        " a verified certificate, user@ signs in with its password of password_file (needs tls://).",
    )
    password_file: str = _key(
        "", "Passwords of smarthosts, one a line: user@host:port password. Readable by the owner only."
    )
    ca_file: str = _key("", "Certificates that verified routes trust, PEM; empty: the system's.")
    connections: int = _key(4, "Connections to one destination at once, at most.")
    retry_minutes: list[int] = _key(
        [1, 5, 15, 30, 60, 120, 240], "Waits between attempts, in minutes; the last one repeats."
    )
    expire_hours: int = _key(72, "After so many hours a message that can't be delivered comes back.")
    delay_notice_hours: int = _key(4, "After so many hours a sender is told that a message is late.")


@dataclass(frozen=True)
class Submission:
    """Mail that waits before it goes: taking back, sending later."""

    undo_seconds: int = _key(
        10, "A letter written on the pages can be taken back for so long; 0: it goes at once."
    )
    later_days: int = _key(60, "How far ahead a letter can be scheduled (pages, FUTURERELEASE), in days.")


@dataclass(frozen=True)
class Filters:
    """Filters of people (Sieve), and the receipts that agencies give."""

    redirect_outside: bool = _key(False, "Let scripts send mail on to addresses outside this installation.")
    receipt_hours: int = _key(
        24,
        "Who writes from outside to an agency's registry mailbox gets one receipt in so many hours; 0: none.",
    )
    receipts_at_most: int = _key(2000, "Receipts of one agency within receipt_hours, at most.")


@dataclass(frozen=True)
class Exchange:
    """How official documents travel."""

    status_gather: float = _key(60.0, "Seconds in which statuses to one sender are put together.")
    revocation_seconds: float = _key(
        3.0,
        "How long an authority elsewhere is waited for, when a packet comes whose certificates have no word on revocation here; 0: never asked.",
    )
    letter_unit: str = _key("VP", "Unit in the notation of an official letter when none is given.")


@dataclass(frozen=True)
class Ledger:
    """The tamper-evident record."""

    pause: float = _key(0.5, "Seconds between two rounds of the sequencer.")


@dataclass(frozen=True)
class Web:
    """The pages."""

    session_hours: int = _key(10, "A sign-in lasts so long.")
    passkey_host: str = _key(
        "", "Host name of the pages, to which passkeys are bound (WebAuthn RP ID); empty: tls_name."
    )


@dataclass(frozen=True)
class Signer:
    """The process that alone holds the keys; with a PKCS #11 token new keys are made in it."""

    pkcs11_module: str = _key("", "The token's or HSM's PKCS #11 library; empty: keys in encrypted files.")
    pkcs11_token: str = _key(
        "", "Label of the signer's own token; empty: keys in encrypted files, only persons' tokens are used."
    )
    status_url: str = _key(
        "",
        "Where anybody reaches [listen] status, http://host; written into each new certificate; empty: none named.",
    )
    pkcs11_pin_file: str = _key("secrets/token.pin", "File with the token's PIN, one line.")


@dataclass(frozen=True)
class Timestamps:
    """Who gives time-stamps (RFC 3161). When nobody answers, documents leave and are stamped later."""

    order: list[str] = _key(["own"], "Asked in this order: own (this installation) or http(s) addresses.")
    seconds: float = _key(5.0, "How long one authority is waited for.")


@dataclass(frozen=True)
class Settings:
    """The whole file. ``base`` is the folder it lies in, ``file`` the file itself."""

    base: Path
    file: Path
    installation: Installation = field(default_factory=Installation)
    paths: Paths = field(default_factory=Paths)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    listen: Listen = field(default_factory=Listen)
    tls: Tls = field(default_factory=Tls)
    mail: Mail = field(default_factory=Mail)
    dns: Dns = field(default_factory=Dns)
    hygiene: Hygiene = field(default_factory=Hygiene)
    store: Store = field(default_factory=Store)
    backup: Backup = field(default_factory=Backup)
    queue: Queue = field(default_factory=Queue)
    submission: Submission = field(default_factory=Submission)
    filters: Filters = field(default_factory=Filters)
    exchange: Exchange = field(default_factory=Exchange)
    ledger: Ledger = field(default_factory=Ledger)
    web: Web = field(default_factory=Web)
    signer: Signer = field(default_factory=Signer)
    timestamps: Timestamps = field(default_factory=Timestamps)

    def at(self, path: str) -> Path:
        """``path`` from the file, absolute."""
        return (self.base / path).absolute()

    @property
    def data_dir(self) -> Path:
        """The data folder."""
        return self.at(self.paths.data)

    @property
    def run_dir(self) -> Path:
        """The folder of sockets and pids."""
        return self.at(self.paths.run)

    @property
    def ledger_dir(self) -> Path:
        """The published ledger: tiles and checkpoint."""
        return self.data_dir / "ledger"

    @property
    def trust_dir(self) -> Path:
        """Certificates of agencies and people, anchors, revocation lists."""
        return self.data_dir / "trust"

    @property
    def master_key(self) -> Path:
        """The master key file."""
        return self.at(self.paths.master_key)

    @property
    def keyring(self) -> Path:
        """The wrapped keys."""
        return self.data_dir / "keyring.json"

    @property
    def passkey_host(self) -> str:
        """The host that passkeys are bound to."""
        return self.web.passkey_host or self.installation.tls_name

    @property
    def passkey_origins(self) -> tuple[str, ...]:
        """Where pages with passkeys may come from: the host on 443 (behind a proxy) or on our own port."""
        port = self.listen.web.rpartition(":")[2]
        return (f"https://{self.passkey_host}", f"https://{self.passkey_host}:{port}")

    @property
    def database_url(self) -> str:
        """The SQLAlchemy address of the database."""
        return self.database.url or f"sqlite:///{self.data_dir / 'congvan.db'}"
