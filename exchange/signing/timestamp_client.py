# SPDX-License-Identifier: AGPL-3.0-or-later
"""Asking for time-stamps (RFC 3161 §3.4, HTTP): our own authority or others, in order; every answer is checked.

An authority that lies (another digest, nonce or time, a certificate for something else, a chain to nowhere)
counts as one that does not answer: the next is asked. When none is left, `Unavailable`: a document then
leaves without a stamp and gets a late one (DESIGN 4.13). An authority that failed is passed over for a minute.
"""

from __future__ import annotations

import http.client
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from asn1crypto import algos, tsp

from config.refusal import Refused, Unavailable
from exchange.trust.anchors import Anchors
from exchange.trust.asking import ask
from exchange.trust.late_stamp import judge_late_stamp
from exchange.trust.verdict import PASSED

log = logging.getLogger("congvan.timestamps")
OWN = "own"
MAX_ANSWER = 64 * 1024
_PASSED_OVER_S = 60.0
_CLOCKS_APART = timedelta(minutes=5)


class Liar(Exception):
    """The answer is no time-stamp over what was asked."""


@dataclass
class TimestampClient:
    """``order``: ``own`` or addresses; ``seconds`` for each; ``own`` gives a token of our own authority."""

    order: tuple[str, ...]
    seconds: float
    own: Callable[[bytes], bytes]
    anchors: Callable[[], Anchors]
    _asleep: dict[str, float] = field(default_factory=dict)

    def stamp(self, digest: bytes) -> bytes:
        """A token (DER) over the SHA-256 ``digest``. Raises `Unavailable`."""
        for name in self.order:
            if self._asleep.get(name, 0.0) > time.monotonic():
                continue
            try:
                return self.own(digest) if name == OWN else self._ask(name, digest)
            except (
                Refused,
                Liar,
                OSError,
                ValueError,
                TypeError,
                KeyError,
                http.client.HTTPException,
            ) as problem:
                log.warning("the time-stamp authority %s was passed over: %s", name, type(problem).__name__)
                self._asleep[name] = time.monotonic() + _PASSED_OVER_S
        raise Unavailable(
            "no-timestamp",
            "Không có cơ quan cấp dấu thời gian nào trả lời. Văn bản vẫn phát hành; dấu thời gian bổ sung sau.",
            "No time-stamp authority answers. Documents leave all the same and are stamped later.",
        )

    def _ask(self, address: str, digest: bytes) -> bytes:
        nonce = secrets.randbits(63)
        request = tsp.TimeStampReq(
            {
                "version": "v1",
                "message_imprint": tsp.MessageImprint(
                    {
                        "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                        "hashed_message": digest,
                    }
                ),
                "nonce": nonce,
                "cert_req": True,
            }
        )
        return self._checked(
            ask(address, self.seconds, MAX_ANSWER, request.dump(), "application/timestamp-query"),
            digest,
            nonce,
        )

    def _checked(self, answer: bytes, digest: bytes, nonce: int) -> bytes:
        """The token in a TimeStampResp. Raises `Liar`."""
        response = tsp.TimeStampResp.load(answer, strict=True)
        if response["status"]["status"].native not in ("granted", "granted_with_mods"):
            raise Liar("not granted")
        token = response["time_stamp_token"]
        info = token["content"]["encap_content_info"]["content"].parsed
        if not isinstance(info, tsp.TSTInfo) or info["nonce"].native != nonce:
            raise Liar("another nonce")
        imprint = info["message_imprint"]
        if (
            imprint["hash_algorithm"]["algorithm"].native != "sha256"
            or imprint["hashed_message"].native != digest
        ):
            raise Liar("another digest")
        if abs(info["gen_time"].native - datetime.now(UTC)) > _CLOCKS_APART:
            raise Liar("another time")
        data = bytes(token.dump())
        verdict = judge_late_stamp(data, digest, self.anchors())
        if verdict.verdict != PASSED:
            raise Liar(verdict.sub_indication)
        return data
