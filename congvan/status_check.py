# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan check``: whether the status of our certificates is served where they say it is."""

from __future__ import annotations

import http.client

from config.refusal import Refused
from config.settings import Settings
from exchange.trust.anchors import read_crls
from exchange.trust.asking import ask
from exchange.trust.directory import TrustDirectory
from exchange.trust.status_places import checked_base, key_id

_SECONDS = 5.0
_LARGEST = 10 * 1024 * 1024


def look(settings: Settings) -> tuple[bool, str, str]:
    """(in order, words in Vietnamese, in English)."""
    issuing = TrustDirectory(settings.trust_dir).issuing_certificate()
    try:
        base = checked_base(settings.signer.status_url)
        if not base or issuing is None:
            return (
                issuing is None,
                "chứng thư cấp mới không ghi nơi tra cứu thu hồi: đặt [signer] status_url và [listen] status",
                "new certificates name no place for their status: set [signer] status_url and [listen] status",
            )
        address = f"{base}/crl/{key_id(issuing)}.crl"
        read_crls(ask(address, _SECONDS, _LARGEST))
    except Refused as problem:
        return False, problem.vi, problem.en
    except (OSError, ValueError, http.client.HTTPException):
        return (
            False,
            f"không tải được {address}: dẫn {base} tới [listen] status",
            f"{address} can't be fetched: lead {base} to [listen] status",
        )
    return True, f"tra cứu được tại {base}", f"served at {base}"
