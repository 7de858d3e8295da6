# SPDX-License-Identifier: AGPL-3.0-or-later
"""How other processes ask the signer for what an agency's OpenPGP keys do. Raises as `SignerClient.ask` does."""

from __future__ import annotations

from typing import cast

from exchange.sealing.openpgp_wire import PublicKey, SessionKey, agreement
from exchange.signing.keys import key_mark
from exchange.signing.protocol import Use
from exchange.signing.signer_client import Opened, SignerClient


class OpenPgpKeys:
    """The requests of `exchange.signing.openpgp_keys` for one agency."""

    def __init__(self, client: SignerClient, code: str) -> None:
        self._client = client
        self._code = code

    def issue(self, name: str, registry: str, who: str, *, renew: bool = False) -> tuple[bytes, Use]:
        """Makes the keys; (certificate in armour, use)."""
        agency = {"code": self._code, "name": name, "registry": registry}
        answer = self._client.ask("issue_openpgp", agency=agency, who=who, renew=renew)
        return cast(bytes, answer["certificate"]), Use(**answer["use"])

    def sign(self, digest: bytes) -> bytes:
        """ECDSA (DER) over the SHA-256 ``digest`` of what an OpenPGP signature covers."""
        return cast(bytes, self._client.ask("sign_openpgp", code=self._code, digest=digest)["signature"])

    def unwrap(
        self, one: SessionKey, subkey: PublicKey, purpose: str, who: str = "", *, archived: bool = False
    ) -> Opened:
        """The session key (its algorithm in front) of a message to ``subkey``; ``archived``: an earlier one."""
        named = {"who": who} if who else {}
        answer = self._client.ask(
            "unwrap_openpgp",
            code=self._code,
            purpose=purpose,
            originator=one.originator,
            parameters=agreement(subkey),
            wrapped=one.wrapped,
            mark=key_mark(subkey.public) if archived else "",
            **named,
        )
        return Opened(answer["key"], Use(**answer["use"]))
