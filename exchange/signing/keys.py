# SPDX-License-Identifier: AGPL-3.0-or-later
"""The signer's key files: one for each key, PKCS#8 sealed under a secret of 32 random bytes.

A file is a JSON line ``{"name", "approval"}`` and then nonce(12) and AES-256-GCM ciphertext; the line
is authenticated too, so a key can't be given another name or an easier approval. Of a key in a PKCS #11
token the file holds the reference only (``token``; ``label`` names a person's own token). The secret lies in a file of its own (systemd credential, other
backup); only the signer process opens this store.

Names: ``person:<address>``, ``agency-sign:<code>``, ``agency-decrypt:<code>``, ``tsa``, ``ledger``,
``ca-issuing``, ``ca-root``; earlier keys ``agency-decrypt:<code>~<key_mark>``, ``ca-issuing~<key_mark>``,
``ledger~<hash of its vkey>``.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args
from urllib.parse import quote, unquote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.durable import write_durably
from config.refusal import Refused
from exchange.signing.token import OwnToken, OwnTokens, Token

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Approval = Literal["passkey", "token", "file", "service"]
"""How each use is approved; ``service`` is for keys that serve, not persons (TSA, ledger, CA, decryption)."""

_KEPT = ("agency-decrypt:", "ca-issuing")
_SUFFIX = ".key"
_MAX_FILE = 64 * 1024
_NONCE = 12


class KeyMissing(Refused):
    """There is no such key here."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "no-such-key",
            f"Không có khóa ký “{name}” trên máy chủ này.",
            f"There is no signing key “{name}” on this server.",
        )


class KeyUnreadable(Refused):
    """A key file or the secret does not open."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "key-unreadable",
            f"Không mở được tệp khóa {what}: sai tệp bí mật hoặc tệp đã bị sửa.",
            f"The key file {what} does not open: wrong secret file, or it was altered.",
        )


def key_mark(public: ec.EllipticCurvePublicKey) -> str:
    """Names a key by its public half: the first 16 hex digits of SHA-256 over SubjectPublicKeyInfo."""
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()[:16]


def _exists(name: str) -> Refused:
    return Refused("key-exists", f"Khóa “{name}” đã có.", f"There is a key “{name}” already.")


def _token_needed() -> Refused:
    return Refused(
        "token-needed",
        "Khóa kiểu “token” nằm trong thiết bị riêng của người ký và chỉ dùng được với thiết bị và mã PIN đó.",
        "A key of mode “token” lies in the person's own token and is used only with that token and its PIN.",
    )


def make_secret(path: Path) -> None:
    """Writes a new secret of 32 random bytes, mode 0600. Refuses to overwrite (`FileExistsError`)."""
    write_durably(path, secrets.token_bytes(32), mode=0o600, exclusive=True)


class KeyStore:
    """The keys in one folder; loaded once, kept as objects."""

    def __init__(
        self, folder: Path, secret_file: Path, token: Token | None = None, own: OwnTokens | None = None
    ) -> None:
        """Opens the store; with ``token`` new keys are made in it and stay there. ``own``: where persons' tokens are.

        Raises `KeyUnreadable` when the secret is missing or not 32 bytes.
        """
        try:
            secret = secret_file.read_bytes()
        except OSError:
            raise KeyUnreadable(secret_file.name) from None
        if len(secret) != 32:
            raise KeyUnreadable(secret_file.name)
        self._folder = folder
        self._cipher = AESGCM(_derive(secret, b"congvan signer keys"))
        self._documents = AESGCM(_derive(secret, b"congvan document keys"))
        self._loaded: dict[str, tuple[PrivateKey, Approval]] = {}
        self._token = token
        self._own = own

    def make(
        self, name: str, approval: Approval, *, replacing: bool = False, own: OwnToken | None = None
    ) -> ec.EllipticCurvePublicKey:
        """Makes a P-256 key (in the token when there is one) under ``name``; gives its public half.

        ``own``: in this person's token, for approval by its PIN. ``replacing``: a key that is there goes out of
        use: a decryption key and that of an issuing authority are kept under their `archived` name, any other is removed (in another token of the
        person it stays, without a certificate). Raises `Refused` when the name is taken otherwise.
        """
        if not replacing and self._path(name).exists():
            raise _exists(name)
        if approval == "token" or own is not None:
            if self._own is None or own is None or approval != "token":
                raise _token_needed()
            key: ec.EllipticCurvePrivateKey
            key, identity = self._own.make(own, name)
            sealed, head = b"", {"name": name, "approval": approval, "token": identity, "label": own.label}
        elif self._token is None or name.startswith("ca-"):  # what signs certificates can't be a token's key
            key = ec.generate_private_key(ec.SECP256R1())
            sealed = key.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            head = {"name": name, "approval": approval}
        else:
            key, identity = self._token.make(name)
            sealed, head = b"", {"name": name, "approval": approval, "token": identity}
        if replacing and self._path(name).exists():
            self._put_by(name, own)
        self._keep(head, sealed, exclusive=not replacing)
        self._loaded.pop(name, None)
        if own is None:
            self._loaded[name] = (key, approval)
        return key.public_key()

    def archived(self, name: str, mark: str) -> ec.EllipticCurvePrivateKey:
        """A decryption key, the present or an earlier one, by the `key_mark` of its public half."""
        key, _ = self.elliptic(name)
        if mark in ("", key_mark(key.public_key())):
            return key
        return self.elliptic(f"{name}~{mark}")[0]

    def _put_by(self, name: str, own: OwnToken | None) -> None:
        """The old key of ``name`` under its archived name, or gone."""
        data = self._path(name).read_bytes()
        if name.startswith(_KEPT):
            old, _ = self.elliptic(name)
            head, sealed = self._opened(name, data)
            self._keep(head | {"name": f"{name}~{key_mark(old.public_key())}"}, sealed, exclusive=False)
            return
        head, _ = self._opened(name, data)
        if "label" in head:
            if self._own is not None and own is not None and own.label == head["label"]:
                self._own.remove(own, head["token"])
        elif self._token is not None and "token" in head:
            self._token.remove(head["token"])

    def add(self, name: str, key: PrivateKey, approval: Approval) -> None:
        """Keeps ``key`` under ``name`` durably. Raises `Refused` when the name is taken."""
        plain = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._keep({"name": name, "approval": approval}, plain, exclusive=True)
        self._loaded[name] = (key, approval)

    def succeed(self, name: str, mark: str, key: PrivateKey) -> None:
        """``key`` in place of the one under ``name``, which stays under ``<name>~<mark>``. Raises `KeyMissing`."""
        head, sealed = self._head(name)
        self._keep(head | {"name": f"{name}~{mark}"}, sealed, exclusive=False)
        plain = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._keep(head, plain, exclusive=False)
        self._loaded[name] = (key, cast(Approval, head["approval"]))

    def _keep(self, told: dict[str, str], plain: bytes, *, exclusive: bool) -> None:
        head = json.dumps(told).encode() + b"\n"
        nonce = os.urandom(_NONCE)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            sealed = head + nonce + self._cipher.encrypt(nonce, plain, head)
            write_durably(self._path(told["name"]), sealed, mode=0o600, exclusive=exclusive)
        except FileExistsError:
            raise _exists(told["name"]) from None

    def get(self, name: str) -> tuple[PrivateKey, Approval]:
        """The key and its approval mode. Raises `KeyMissing`, `KeyUnreadable`."""
        found = self._loaded.get(name)
        if found is None:
            found = self._loaded[name] = self._read(name)
        return found

    def elliptic(self, name: str) -> tuple[ec.EllipticCurvePrivateKey, Approval]:
        """`get` for a key that must be an elliptic-curve key."""
        key, approval = self.get(name)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise KeyUnreadable(name)
        return key, approval

    def approval(self, name: str) -> Approval:
        """Its approval mode alone: also while a token is away. Raises `KeyMissing`, `KeyUnreadable`."""
        found = self._loaded.get(name)
        return found[1] if found is not None else cast(Approval, self._head(name)[0]["approval"])

    def reach_token(self) -> bool:
        """False without keys in the signer's token. Raises `Unavailable`, `Refused` when they can't be reached."""
        if self._token is None:
            return False
        for name in self.names():
            head, _ = self._head(name)
            if "token" in head and "label" not in head:
                self._token.key(head["token"])
                return True
        return False

    @contextmanager
    def opened(self, name: str, pin: str) -> Iterator[ec.EllipticCurvePrivateKey]:
        """The key in a person's own token, usable inside the ``with``. Raises as `OwnTokens.opened` does."""
        head, _ = self._head(name)
        if self._own is None or "label" not in head:
            raise _token_needed()
        with self._own.opened(OwnToken(head["label"], pin), head["token"]) as key:
            yield key

    def names(self) -> list[str]:
        """The names of all keys."""
        try:
            files = sorted(one.name for one in self._folder.iterdir() if one.suffix == _SUFFIX)
        except OSError:
            return []
        return [unquote(one[: -len(_SUFFIX)]) for one in files if not one.startswith(".")]

    def wrap(self, plain: bytes, context: str) -> bytes:
        """``plain`` sealed for ``context``, to be kept outside; only this store opens it."""
        nonce = os.urandom(_NONCE)
        return nonce + self._documents.encrypt(nonce, plain, context.encode())

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """What `wrap` sealed for the same ``context``. Raises `Refused`."""
        try:
            return self._documents.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], context.encode())
        except (InvalidTag, ValueError):
            raise Refused(
                "wrapped-key-broken",
                "Khóa văn bản niêm phong không mở được.",
                "The wrapped document key does not open.",
            ) from None

    def _path(self, name: str) -> Path:
        return self._folder / (quote(name, safe="@+") + _SUFFIX)

    def _head(self, name: str) -> tuple[dict[str, str], bytes]:
        """(the first line, what is sealed) of a key's file."""
        try:
            with self._path(name).open("rb") as file:
                data = file.read(_MAX_FILE)
        except FileNotFoundError:
            raise KeyMissing(name) from None
        except OSError:
            raise KeyUnreadable(name) from None
        return self._opened(name, data)

    def _read(self, name: str) -> tuple[PrivateKey, Approval]:
        head, plain = self._head(name)
        if "label" in head:
            raise _token_needed()
        if "token" in head:
            if self._token is None:
                raise KeyUnreadable(name)
            return self._token.key(head["token"]), cast(Approval, head["approval"])
        try:
            key = serialization.load_der_private_key(plain, None)
        except (ValueError, TypeError):
            raise KeyUnreadable(name) from None
        if not isinstance(key, PrivateKey):
            raise KeyUnreadable(name)
        return key, cast(Approval, head["approval"])

    def _opened(self, name: str, data: bytes) -> tuple[dict[str, str], bytes]:
        """(the first line, what is sealed) of a key file."""
        line, newline, sealed = data.partition(b"\n")
        try:
            head: dict[str, str] = json.loads(line)
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], line + newline)
            if head["name"] != name or head["approval"] not in get_args(Approval):
                raise KeyUnreadable(name)
        except (ValueError, KeyError, TypeError, InvalidTag):
            raise KeyUnreadable(name) from None
        return head, plain


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(secret)
