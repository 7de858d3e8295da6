# SPDX-License-Identifier: AGPL-3.0-or-later
"""How other processes ask the signer. Blocking, with bounded waits; one client serves all threads.

Every method raises `config.refusal.Refused` with the signer's words, and `Unavailable` when it is
down, busy or too slow. Never call it inside a database transaction or on an event loop's thread.
"""

from __future__ import annotations

import queue
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from exchange.signing.protocol import (
    HEAD,
    BadFrame,
    PersonApproval,
    SealApproval,
    Use,
    decode,
    encode,
    length_of,
    raised,
    unavailable,
)

_KEPT = 8


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature (ECDSA, DER) and the use for the ledger."""

    signature: bytes
    use: Use


@dataclass(frozen=True, slots=True)
class Opened:
    """A key and the use for the ledger."""

    key: bytes
    use: Use


class SignerClient:
    """Speaks to the signer at ``path``; each answer within ``timeout`` seconds."""

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self._path = path
        self._timeout = timeout
        self._idle: queue.LifoQueue[socket.socket] = queue.LifoQueue(_KEPT)

    def sign_person(
        self,
        address: str,
        approval: PersonApproval,
        prepared_digest: bytes,
        signed_attrs: bytes,
        pin: str = "",
    ) -> Signed:
        """The person's signature over ``signed_attrs`` of the prepared PDF; ``pin`` of a token of mode token."""
        secret = {"pin": pin} if pin else {}
        return self._signed(
            "sign_person",
            address=address,
            approval=asdict(approval),
            prepared_digest=prepared_digest,
            signed_attrs=signed_attrs,
            **secret,
        )

    def seal_agency(
        self, code: str, approval: SealApproval, prepared_digest: bytes, signed_attrs: bytes
    ) -> Signed:
        """The agency's signature over ``signed_attrs`` of the prepared PDF; once for each register row."""
        return self._signed(
            "seal_agency",
            code=code,
            approval=asdict(approval),
            prepared_digest=prepared_digest,
            signed_attrs=signed_attrs,
        )

    def sign_letter(self, address: str, approval: PersonApproval, signed_attrs: bytes) -> Signed:
        """A person's signature over a letter's CMS signed attributes; keys approved by file only."""
        return self._signed(
            "sign_letter", address=address, approval=asdict(approval), signed_attrs=signed_attrs
        )

    def sign_packet(self, code: str, signed_attrs: bytes) -> Signed:
        """The agency's signature over a packet's CMS signed attributes (DER SET, with signing-time)."""
        return self._signed("sign_packet", code=code, signed_attrs=signed_attrs)

    def sign_xml(self, code: str, signed_info: bytes) -> Signed:
        """The agency's ECDSA-SHA256 over a canonical ``ds:SignedInfo``."""
        return self._signed("sign_xml", code=code, signed_info=signed_info)

    def sign_statement(self, code: str, label: str, body: bytes) -> Signed:
        """The agency's signature over `exchange.signing.statement.statement_bytes`."""
        return self._signed("sign_statement", code=code, label=label, body=body)

    def checkpoint(self, body: bytes, key: str = "") -> bytes:
        """The ledger's Ed25519 signature (64 bytes) over a checkpoint of ours; ``key``: hash (hex) of one, "" today's."""
        return cast(bytes, self.ask("checkpoint", body=body, key=key)["signature"])

    def timestamp(self, digest: bytes, algorithm: str = "sha256") -> bytes:
        """A time-stamp token (DER ContentInfo) over ``digest``."""
        return cast(bytes, self.ask("timestamp", digest=digest, algorithm=algorithm)["token"])

    def timestamp_response(self, request: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq, both DER (RFC 3161)."""
        return cast(bytes, self.ask("timestamp", request=request)["response"])

    def unwrap(
        self,
        code: str,
        purpose: str,
        *,
        originator: bytes,
        shared_info: bytes,
        wrapped: bytes,
        kdf: str = "sha256",
        wrap_bits: int = 256,
        who: str = "",
        key: str = "",
    ) -> Opened:
        """The content-encryption key of a packet. ``purpose``: ``receive`` (on arrival) or ``open``.

        ``key``: the `key_mark` of the decryption key, "" for the present one.

        ``originator`` is the ephemeral public point (uncompressed), ``shared_info`` the DER of
        ECC-CMS-SharedInfo (RFC 5753 §7.2).
        """
        named = {"who": who} if who else {}
        return self._opened(
            "unwrap",
            code=code,
            purpose=purpose,
            originator=originator,
            shared_info=shared_info,
            wrapped=wrapped,
            kdf=kdf,
            wrap_bits=wrap_bits,
            key=key,
            **named,
        )

    def wrap_document_key(self, code: str) -> tuple[bytes, bytes]:
        """(a fresh 32-byte key, the same wrapped so that only the signer opens it)."""
        answer = self.ask("wrap_document_key", code=code)
        return cast(bytes, answer["key"]), cast(bytes, answer["wrapped"])

    def unwrap_document_key(self, code: str, wrapped: bytes, purpose: str, who: str) -> Opened:
        """The key that `wrap_document_key` wrapped for ``code``."""
        return self._opened("unwrap_document_key", code=code, wrapped=wrapped, purpose=purpose, who=who)

    def renew_crls(self) -> list[str]:
        """Renews revocation lists older than a day; their names."""
        return cast(list[str], self.ask("crl")["renewed"])

    def ocsp(self, request: bytes) -> bytes:
        """The answer of our issuing authority to an OCSP request. Raises `Refused`, `Unavailable`."""
        return cast(bytes, self.ask("ocsp", request=request)["response"])

    def revoke(self, serial: int, reason: str, who: str) -> Use:
        """Revokes a certificate of our own authority (``reason`` as in RFC 5280, ``keyCompromise``…)."""
        return Use(**self.ask("revoke", serial=f"{serial:x}", reason=reason, who=who)["use"])

    def status(self) -> dict[str, Any]:
        """``{"keys": n, "origin": …}`` when it answers."""
        return self.ask("status")

    def reach_token(self) -> bool:
        """Whether keys lie in the signer's own token and can be used. Raises `Unavailable` with what is wrong."""
        return bool(self.ask("reach_token")["held"])

    def close(self) -> None:
        """Closes idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def ask(self, op: str, **values: Any) -> dict[str, Any]:
        """Sends one request and gives its values. Raises `Refused`, `Unavailable`."""
        frame = encode({"op": op, **values})
        answer = self._through_idle(frame) or self._through_new(frame)
        if "ok" not in answer:
            raise raised(answer)
        return cast(dict[str, Any], answer["ok"])

    def _signed(self, op: str, **values: Any) -> Signed:
        answer = self.ask(op, **values)
        return Signed(answer["signature"], Use(**answer["use"]))

    def _opened(self, op: str, **values: Any) -> Opened:
        answer = self.ask(op, **values)
        return Opened(answer["key"], Use(**answer["use"]))

    def _through_idle(self, frame: bytes) -> dict[str, Any] | None:
        """The answer through a kept connection; None when there is none that still lives."""
        try:
            link = self._idle.get_nowait()
        except queue.Empty:
            return None
        try:
            return self._exchange(link, frame)
        except TimeoutError:
            raise unavailable() from None
        except (OSError, BadFrame):
            return None

    def _through_new(self, frame: bytes) -> dict[str, Any]:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(self._timeout)
        try:
            link.connect(str(self._path))
            return self._exchange(link, frame)
        except (OSError, BadFrame):
            link.close()
            raise unavailable() from None

    def _exchange(self, link: socket.socket, frame: bytes) -> dict[str, Any]:
        try:
            link.sendall(frame)
            answer = decode(_exactly(link, length_of(_exactly(link, HEAD))))
        except BaseException:
            link.close()
            raise
        try:
            self._idle.put_nowait(link)
        except queue.Full:
            link.close()
        return answer


def _exactly(link: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = link.recv(size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return bytes(data)
