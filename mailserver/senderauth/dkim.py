# SPDX-License-Identifier: AGPL-3.0-or-later
"""DKIM signatures of a message that comes in (RFC 6376, RFC 8301, RFC 8463).

A signature that passes but must not be relied on (RSA under 1024 bits, SHA-1, a body longer than what
``l=`` covers) is ``policy`` (RFC 8601 §2.7.1), never ``pass``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mailserver.dns import DnsUnavailable, Resolver
from mailserver.senderauth import canon
from mailserver.senderauth.canon import Canonical, Field

DkimResult: TypeAlias = Literal["pass", "fail", "policy", "neutral", "temperror", "permerror"]

MOST_SIGNATURES = 6
"""Of one message; the further ones are not looked at (RFC 6376 §6.1 lets a verifier choose)."""

_LEAST_BITS = 1024
_MOST_BITS = 8192
_MOST_NAMES = 500
_SKEW_S = 600
_TAG = re.compile(r"\s*([a-z][a-z0-9_]*)\s*=\s*([\s!-:<-~]*?)\s*", re.IGNORECASE)
_BLANK = re.compile(r"\s+")
_SIGNATURE_VALUE = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_DOMAIN = re.compile(
    r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)+", re.IGNORECASE
)
_SELECTOR = re.compile(
    r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*", re.IGNORECASE
)
_IN_THREAD = 256 * 1024

PublicKey: TypeAlias = "rsa.RSAPublicKey | Ed25519PublicKey"


class Unusable(Exception):
    """A signature or a key record that can't be used: permerror, with the reason."""


@dataclass(frozen=True, slots=True)
class Dkim:
    """The result of one signature. ``mark`` is the beginning of its ``b=`` (RFC 6008)."""

    result: DkimResult
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    identity: str = ""
    mark: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a DKIM-Signature field says."""

    field: Field
    algorithm: str
    domain: str
    selector: str
    identity: str
    names: tuple[bytes, ...]
    header_form: Canonical
    body_form: Canonical
    length: int | None
    signed_at: int | None
    ends_at: int | None
    value: bytes
    body_digest: bytes


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key record of the DNS (RFC 6376 §3.6.1)."""

    key: PublicKey
    strict: bool
    testing: bool
    bits: int


async def verify(
    resolver: Resolver, fields: Sequence[Field], body: memoryview, at_s: int
) -> tuple[Dkim, ...]:
    """Verify every signature, at most `MOST_SIGNATURES`, from the top. Never raises."""
    wanted = [one for one in fields if one.name == b"dkim-signature"][:MOST_SIGNATURES]
    if not wanted:
        return ()
    bodies = _Bodies(body)
    results = []
    for one in wanted:
        try:
            signature = read(one)
        except Unusable as problem:
            results.append(Dkim("permerror", reason=str(problem)))
            continue
        results.append(await _one(resolver, signature, fields, bodies, at_s))
    return tuple(results)


async def _one(
    resolver: Resolver, signature: Signature, fields: Sequence[Field], bodies: _Bodies, at_s: int
) -> Dkim:
    mark = base64.b64encode(signature.value).decode()[:8]

    def says(result: DkimResult, reason: str = "") -> Dkim:
        return Dkim(
            result,
            signature.domain,
            signature.selector,
            signature.algorithm,
            signature.identity,
            mark,
            reason,
        )

    if signature.ends_at is not None and signature.ends_at < at_s:
        return says("fail", "the signature has expired")
    if signature.signed_at is not None and signature.signed_at > at_s + _SKEW_S:
        return says("fail", "the signature is of the future")
    try:
        texts = await resolver.txt(f"{signature.selector}._domainkey.{signature.domain}")
    except DnsUnavailable:
        return says("temperror", "the key can't be had now")
    try:
        record = key_record(texts, signature.algorithm)
    except Unusable as problem:
        return says("permerror", str(problem))
    owner = signature.identity.rpartition("@")[2].lower()
    if record.strict and owner != signature.domain:
        return says("permerror", "the key is not for subdomains")
    digest, whole = await bodies.digest(signature.body_form, signature.length)
    if digest != signature.body_digest:
        return says("fail", "the body was changed")
    hashed = signed_header(signature, fields)
    if not _verified(record.key, signature.value, hashed, signature.algorithm):
        return says("fail", "the header was changed")
    if record.testing:
        return says("neutral", "the domain tests its key")
    if record.bits < _LEAST_BITS:
        return says("policy", f"a key of {record.bits} bits")
    if not whole:
        return says("policy", "the body goes on after what is signed")
    return says("pass")


def read(field: Field) -> Signature:
    """What a signature field says. Raises `Unusable`."""
    tags = tag_list(field.value.decode("latin-1"))
    missing = {"v", "a", "b", "bh", "d", "h", "s"} - set(tags)
    if missing:
        raise Unusable(f"tag {min(missing)} is missing")
    if tags["v"] != "1":
        raise Unusable("not version 1")
    algorithm = tags["a"].lower()
    if algorithm not in ("rsa-sha256", "ed25519-sha256"):
        raise Unusable(f"algorithm {algorithm[:20]} is not taken")  # rsa-sha1: RFC 8301 §3.1
    domain, selector = tags["d"].lower(), tags["s"].lower()
    if not _DOMAIN.fullmatch(domain) or not _SELECTOR.fullmatch(selector) or len(domain + selector) > 240:
        raise Unusable("not a domain")
    identity = _BLANK.sub("", tags.get("i", "@" + domain))
    owner = identity.rpartition("@")[2].lower()
    if "@" not in identity or (owner != domain and not owner.endswith("." + domain)):
        raise Unusable("i= is not of d=")
    names = tuple(one.strip().lower().encode("latin-1") for one in tags["h"].split(":"))
    if b"from" not in names or len(names) > _MOST_NAMES:
        raise Unusable("From is not signed")
    header_form, body_form = _forms(tags.get("c", "simple/simple").lower())
    if "dns/txt" not in tags.get("q", "dns/txt").lower():
        raise Unusable("no way to the key")
    signed_at, ends_at = _number(tags, "t"), _number(tags, "x")
    if signed_at is not None and ends_at is not None and ends_at <= signed_at:
        raise Unusable("it ends before it begins")
    return Signature(
        field,
        algorithm,
        domain,
        selector,
        identity,
        names,
        header_form,
        body_form,
        _number(tags, "l"),
        signed_at,
        ends_at,
        _base64(tags["b"]),
        _base64(tags["bh"]),
    )


def _forms(text: str) -> tuple[Canonical, Canonical]:
    first, _, second = text.partition("/")
    forms: dict[str, Canonical] = {"simple": "simple", "relaxed": "relaxed", "": "simple"}
    if first not in forms or second not in forms or not first:
        raise Unusable("unknown canonicalization")
    return forms[first], forms[second]


def tag_list(text: str) -> dict[str, str]:
    """``a=1; b=2`` (RFC 6376 §3.2). Raises `Unusable` for what is not, or a tag that stands twice."""
    tags: dict[str, str] = {}
    pieces = text.split(";")
    if not pieces[-1].strip():
        pieces.pop()
    for piece in pieces:
        found = _TAG.fullmatch(piece)
        if found is None or found[1] in tags or len(tags) > 50:
            raise Unusable("not a tag list")
        tags[found[1]] = found[2]
    return tags


def _number(tags: dict[str, str], name: str) -> int | None:
    text = tags.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise Unusable(f"{name}= is no number")
    return int(text)


def _base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(_BLANK.sub("", text).encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeError):
        raise Unusable("not base64") from None


def key_record(texts: Sequence[str], algorithm: str) -> KeyRecord:
    """The key for ``algorithm`` among TXT records. Raises `Unusable`."""
    if not texts:
        raise Unusable("there is no key")
    problem = Unusable("there is no key")
    for text in texts[:5]:
        try:
            return _key_record(text, algorithm)
        except Unusable as one:
            problem = one
    raise problem


@lru_cache(maxsize=4096)
def _key_record(text: str, algorithm: str) -> KeyRecord:
    tags = tag_list(text)
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        raise Unusable("not a DKIM1 record")
    kind, _, digest = algorithm.partition("-")
    if tags.get("k", "rsa").lower() != kind:
        raise Unusable("the key is of another kind")
    if "h" in tags and digest not in [one.strip().lower() for one in tags["h"].split(":")]:
        raise Unusable("the key is not for this hash")
    if not {"*", "email"} & {one.strip().lower() for one in tags.get("s", "*").split(":")}:
        raise Unusable("the key is not for mail")
    if "p" not in tags:
        raise Unusable("there is no key in the record")
    raw = _base64(tags["p"])
    if not raw:
        raise Unusable("the key was revoked")
    flags = {one.strip().lower() for one in tags.get("t", "").split(":")}
    key = _key(kind, raw)
    bits = key.key_size if isinstance(key, rsa.RSAPublicKey) else 256 * 16
    if bits > _MOST_BITS:
        raise Unusable("the key is too long")
    return KeyRecord(key, "s" in flags, "y" in flags, bits)


def _key(kind: str, raw: bytes) -> PublicKey:
    try:
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(raw)
        key = serialization.load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise Unusable("the key can't be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise Unusable("the key is of another kind")
    return key


def signed_header(signature: Signature, fields: Sequence[Field]) -> bytes:
    """The bytes that are signed: the named fields from the bottom up, then the signature without ``b=``.

    RFC 6376 §5.4.2: the n-th naming takes the n-th field from the bottom; one naming too many takes nothing.
    """
    below: dict[bytes, list[Field]] = {}
    for one in fields:
        below.setdefault(one.name, []).append(one)
    out: list[bytes] = []
    for name in signature.names:
        left = below.get(name)
        if left:
            out.append(canon.header(left.pop(), signature.header_form))
    field = signature.field
    bare = Field(
        field.name,
        _SIGNATURE_VALUE.sub(rb"\1", field.value),
        field.raw[: field.raw.index(b":") + 1] + _SIGNATURE_VALUE.sub(rb"\1", field.value) + b"\r\n",
    )
    out.append(canon.header(bare, signature.header_form).removesuffix(b"\r\n"))
    return b"".join(out)


def _verified(key: PublicKey, value: bytes, signed: bytes, algorithm: str) -> bool:
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(value, hashlib.sha256(signed).digest())  # RFC 8463 §3: PureEd25519 over the hash
        else:
            key.verify(value, signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


class _Bodies:
    """Digests of the body, each canonical form made once."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._forms: dict[Canonical, bytes] = {}
        self._digests: dict[tuple[Canonical, int | None], tuple[bytes, bool]] = {}

    async def digest(self, how: Canonical, length: int | None) -> tuple[bytes, bool]:
        """The SHA-256 of the first ``length`` octets, and whether these are all."""
        key = (how, length)
        if key not in self._digests:
            if len(self._body) < _IN_THREAD:
                self._digests[key] = self._work(how, length)
            else:
                self._digests[key] = await asyncio.to_thread(self._work, how, length)
        return self._digests[key]

    def _work(self, how: Canonical, length: int | None) -> tuple[bytes, bool]:
        form = self._forms.get(how)
        if form is None:
            form = self._forms[how] = canon.body(self._body, how)
        if length is None or length == len(form):
            return hashlib.sha256(form).digest(), True
        if length > len(form):
            return b"", False
        return hashlib.sha256(memoryview(form)[:length]).digest(), False
