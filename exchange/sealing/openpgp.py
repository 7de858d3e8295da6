# SPDX-License-Identifier: AGPL-3.0-or-later
"""OpenPGP (RFC 4880, RFC 9580 where gpg has it) by gpg: sign, encrypt, open, verify; keys by fingerprint.

gpg runs with a home of its own whose path is short (its agent's socket allows about 100 characters), four
processes at once, each for a minute and 150 MB of output at most, never on the network. What gpg wrote counts
only when its status says that integrity and decryption were right: of a failed message nothing is given out,
not even as an error's text. Whose key it is was settled before: only the fingerprints imported count.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gnupg

from config.refusal import Refused, Unavailable
from exchange.sealing.recipients import CannotOpen
from exchange.trust.verdict import FAILED, INDETERMINATE, PASSED, Outcome, SignatureVerdict

logging.getLogger("gnupg").setLevel(logging.ERROR)  # it would write what gpg says of session keys
SECONDS = 60.0
MAX_BYTES = 150_000_000
MAX_SIGNATURES = 10
_AT_ONCE = threading.BoundedSemaphore(4)
_LONGEST_HOME = 80
_BLOCKS = 256 * 1024
_OPTIONS = (
    *("--batch", "--no-tty", "--no-auto-key-locate", "--disable-dirmngr", "--trust-model", "always"),
    *("--no-auto-key-import", "--keyserver-options", "no-auto-key-retrieve"),
    *("--personal-digest-preferences", "SHA512 SHA256", "--cert-digest-algo", "SHA512"),
)
_WEAK_HASHES = {"1", "2", "3"}
"""MD5, SHA-1, RIPE-MD/160 (RFC 4880 §9.4)."""
_SIGNATURE_TROUBLE = {"BADSIG", "ERRSIG", "NO_PUBKEY", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"}
_ADDRESS = re.compile(r"<([^<>\s]{3,320})>\s*$|^([^<>\s]+@[^<>\s]+)$")


@dataclass(frozen=True, slots=True)
class PgpKey:
    """A public key: primary fingerprint, user ids, and whether it may still be counted strong."""

    fingerprint: str
    user_ids: tuple[str, ...]
    addresses: tuple[str, ...]
    strong: bool
    secret: bool


@dataclass(frozen=True, slots=True)
class PgpOpened:
    """What an encrypted message held, with the verdicts on the signatures in it."""

    content: bytes
    signatures: tuple[PgpSignature, ...]


@dataclass(frozen=True, slots=True)
class PgpSignature:
    """A signature judged; ``fingerprint`` of the primary key, "" when it is not known."""

    verdict: SignatureVerdict
    fingerprint: str
    addresses: tuple[str, ...]


class OpenPgp:
    """gpg over one home. Safe to use from several threads."""

    def __init__(self, home: Path, longest: int = MAX_BYTES, *, public_only: bool = False) -> None:
        """``home`` is made when it is not there; ``longest``: bytes of a plaintext; ``public_only``: no agent is ever started.

        Raises `Unavailable` without gpg or with a path too long.
        """
        if len(str(home)) > _LONGEST_HOME:
            raise Unavailable(
                "openpgp-home",
                f"Đường dẫn thư mục OpenPGP dài quá {_LONGEST_HOME} ký tự: {home}",
                f"The path of the OpenPGP home is longer than {_LONGEST_HOME} characters: {home}",
            )
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            more = ["--no-autostart"] if public_only else []
            self._gpg = _Gpg(gnupghome=str(home), options=[*_OPTIONS, *more, "--max-output", str(longest)])
            self._gpg.encoding = "utf-8"
        except (OSError, ValueError):
            raise Unavailable("no-gpg", "Máy chưa cài gpg.", "gpg is not installed.") from None
        self._home, self._longest = home, longest
        self._keys: dict[str, PgpKey] | None = None
        self._guard = threading.Lock()

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, keys: Sequence[bytes], longest: int = MAX_BYTES) -> Iterator[OpenPgp]:
        """A home for one piece of work with ``keys`` (armour or binary), gone afterwards. Raises `Refused`."""
        home = Path(tempfile.mkdtemp(prefix="cv-"))
        try:
            own = cls(home, longest)
            for one in keys:
                own.add(one)
            yield own
            own.close()
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def close(self) -> None:
        """Ends the agent of this home."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            words = ["gpgconf", "--homedir", str(self._home), "--kill", "gpg-agent"]
            subprocess.run(words, check=False, capture_output=True, timeout=10)

    def add(self, data: bytes) -> tuple[str, ...]:
        """Import public or secret keys; their fingerprints. Raises `Refused` when there is none."""
        with _AT_ONCE:
            done = self._gpg.import_keys(data)
        found = tuple(dict.fromkeys(one for one in done.fingerprints if one))
        if not found:
            raise Refused("no-openpgp-key", "Tệp không có khóa OpenPGP.", "The file holds no OpenPGP key.")
        with self._guard:
            self._keys = None
        return found

    def keys(self) -> dict[str, PgpKey]:
        """The keys by primary fingerprint."""
        with self._guard:
            if self._keys is None:
                own = any((self._home / "private-keys-v1.d").glob("*.key"))  # else no agent is started
                with _AT_ONCE:
                    public = self._gpg.list_keys()
                    private = self._gpg.list_keys(secret=True) if own else []
                secret = {one["fingerprint"] for one in private}
                self._keys = {one["fingerprint"]: _key(one, secret) for one in public}
            return self._keys

    def export(self, fingerprint: str) -> bytes:
        """The armour of one public key without signatures of others on it. Raises `Refused`."""
        with _AT_ONCE:
            found = self._gpg.export_keys(fingerprint, minimal=True)
        if not found:
            raise Refused("no-openpgp-key", "Không có khóa OpenPGP này.", "There is no such OpenPGP key.")
        return str(found).encode()

    def sign(self, data: bytes, fingerprint: str) -> bytes:
        """An armoured detached signature with SHA-256. Raises `Refused`."""
        with _AT_ONCE:
            done = self._gpg.sign(
                data,
                keyid=self._own(fingerprint),
                detach=True,
                binary=False,
                extra_args=["--digest-algo", "SHA256"],
            )
        if not done.data or done.fingerprint is None:
            raise Refused("openpgp-sign", "Không ký được bằng OpenPGP.", "OpenPGP signing failed.")
        return bytes(done.data)

    def encrypt(self, data: bytes, fingerprints: Sequence[str], signer: str = "") -> bytes:
        """An armoured message to the holders of ``fingerprints``, signed inside by ``signer``. Raises `Refused`."""
        known = self.keys()
        if not fingerprints or any(one not in known for one in fingerprints):
            raise Refused(
                "no-openpgp-key",
                "Chưa có khóa OpenPGP của nơi nhận.",
                "The recipient's OpenPGP key is not here.",
            )
        more: dict[str, Any] = {"sign": self._own(signer)} if signer else {}
        with _AT_ONCE:
            done = self._gpg.encrypt(data, list(fingerprints), always_trust=True, armor=True, **more)
        if not done.ok or not done.data:
            raise Refused(
                "openpgp-encrypt",
                "Không mã hóa được bằng OpenPGP: khóa của nơi nhận hết hạn, bị thu hồi hoặc không dùng để mã hóa. "
                "Xin khóa mới và ghim lại (`congvan agency pin add`).",
                "OpenPGP encryption failed: the recipient's key has expired, is revoked or can't be encrypted to. Ask for "
                "a new one and pin it (`congvan agency pin add`).",
            )
        return bytes(done.data)

    def decrypt(self, data: bytes, now: datetime | None = None, session_key: bytes = b"") -> PgpOpened:
        """Open a message, with ``session_key`` (its algorithm in front) where the private key is not in this home.

        Raises `CannotOpen` for every cause: nothing of a failed message is given out.
        """
        try:
            with _AT_ONCE, self._gpg.given(session_key) as words:
                done = self._gpg.decrypt(data, always_trust=True, extra_args=words)
        except OSError:  # gpg ended before it had read everything
            raise CannotOpen from None
        lines = _status(done.stderr)
        names = [line[0] for line in lines]
        protected = "GOODMDC" in names or any(
            line[0] == "DECRYPTION_INFO" and len(line) > 3 and line[3] != "0" for line in lines
        )
        once = names.count("PLAINTEXT") == 1 and names.count("BEGIN_DECRYPTION") == 1
        if "DECRYPTION_OKAY" not in names or "DECRYPTION_FAILED" in names or not protected or not once:
            raise CannotOpen
        if "BADMDC" in names or (done.returncode and not _SIGNATURE_TROUBLE & set(names)):
            raise CannotOpen
        if len(done.data) > self._longest - _BLOCKS:
            raise CannotOpen  # gpg stops somewhat before the limit, and calls that decrypted
        return PgpOpened(bytes(done.data), self._judged(lines, now))

    def verify(self, data: bytes, signature: bytes, now: datetime | None = None) -> tuple[PgpSignature, ...]:
        """The signatures (one element each, empty: none could be read) of a detached ``signature`` over ``data``."""
        with tempfile.NamedTemporaryFile(prefix="cv-", suffix=".sig") as file, _AT_ONCE:
            file.write(signature)
            file.flush()
            try:
                done = self._gpg.verify_data(file.name, data)
            except OSError:
                return ()
        return self._judged(_status(done.stderr), now)

    def _own(self, fingerprint: str) -> str:
        if not (found := self.keys().get(fingerprint)) or not found.secret:
            raise Refused(
                "no-openpgp-key", "Chưa có khóa OpenPGP để ký.", "The OpenPGP key to sign with is not here."
            )
        return fingerprint

    def _judged(self, lines: list[list[str]], now: datetime | None) -> tuple[PgpSignature, ...]:
        """Each signature by the status lines between one NEWSIG and the next (gnupg doc/DETAILS)."""
        groups: list[list[list[str]]] = []
        for line in lines:
            if line[0] == "NEWSIG":
                groups.append([])
            elif groups:
                groups[-1].append(line)
        moment = now or datetime.now(UTC)
        return tuple(self._one(group, moment) for group in groups[:MAX_SIGNATURES])

    def _one(self, group: list[list[str]], now: datetime) -> PgpSignature:
        said = {line[0]: line for line in group}
        valid = said.get("VALIDSIG", [])
        primary = valid[10] if len(valid) > 10 else ""
        key = self.keys().get(primary)
        signed_at = _moment(valid[3]) if len(valid) > 3 else None
        outcome, sub = _outcome(said, valid, key, signed_at, now)
        name = key.user_ids[0] if key and key.user_ids else ""
        line = SignatureVerdict(
            signer=name.partition(" <")[0],
            organisation="",
            role="person",
            time=signed_at.isoformat(timespec="seconds") if signed_at else "",
            verdict=outcome,
            sub_indication=sub,
        )
        return PgpSignature(line, primary, key.addresses if key else ())


def _outcome(
    said: dict[str, list[str]],
    valid: list[str],
    key: PgpKey | None,
    signed_at: datetime | None,
    now: datetime,
) -> tuple[Outcome, str]:
    if "BADSIG" in said:
        return FAILED, "HASH_FAILURE"
    if "ERRSIG" in said or "NO_PUBKEY" in said:
        return INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND"
    if "EXPSIG" in said:
        return FAILED, "EXPIRED"
    if not valid or key is None or signed_at is None:
        return INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND"
    if valid[8] in _WEAK_HASHES or not key.strong:
        return INDETERMINATE, "CRYPTO_CONSTRAINTS_FAILURE"
    if "REVKEYSIG" in said:
        return INDETERMINATE, "REVOKED_NO_POE"
    if "EXPKEYSIG" in said:
        return INDETERMINATE, "OUT_OF_BOUNDS_NO_POE"
    if signed_at > now + timedelta(minutes=5):
        return INDETERMINATE, "TIMESTAMP_ORDER_FAILURE"
    return (PASSED, "") if "GOODSIG" in said else (INDETERMINATE, "NO_SIGNING_CERTIFICATE_FOUND")


def _status(text: str) -> list[list[str]]:
    mark = "[GNUPG:] "
    lines = [one.removeprefix(mark).split() for one in (text or "").splitlines() if one.startswith(mark)]
    return [one for one in lines if one]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _key(one: dict[str, Any], secret: set[str]) -> PgpKey:
    names = tuple(str(name) for name in one["uids"])
    found = [_ADDRESS.search(name) for name in names]
    addresses = tuple((match[1] or match[2]).lower() for match in found if match)
    rsa_or_dsa = str(one["algo"]) in ("1", "2", "3", "16", "17")
    return PgpKey(
        one["fingerprint"],
        names,
        addresses,
        not rsa_or_dsa or int(one["length"] or 0) >= 2048,
        one["fingerprint"] in secret,
    )


class _Gpg(gnupg.GPG):  # type: ignore[misc]
    """gnupg.GPG whose processes end in time, and to which a session key goes through a pipe, not as a word."""

    _local = threading.local()

    @contextlib.contextmanager
    def given(self, session_key: bytes) -> Iterator[list[str]]:
        """The words by which gpg, started by this thread, uses ``session_key``; none for an empty one."""
        if not session_key:
            yield []
            return
        out, into = os.pipe()
        try:
            os.write(into, f"{session_key[0]}:{session_key[1:].hex().upper()}\n".encode())
            os.close(into)
            self._local.handed = (out,)
            yield ["--override-session-key-fd", str(out)]
        finally:
            self._local.handed = ()
            os.close(out)

    def _open_subprocess(self, words: list[str], passphrase: bool = False) -> Any:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            self.make_args(words, passphrase),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            pass_fds=getattr(self._local, "handed", ()),
        )

        def end() -> None:
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

        threading.Thread(target=end, daemon=True).start()
        return process
