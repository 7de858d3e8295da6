# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading the fields of a request to the signer: each of its type and bounded, or `Refused`."""

from __future__ import annotations

from typing import Any

from config.refusal import Refused

Values = dict[str, Any]


def text(request: Values, field: str, longest: int = 500) -> str:
    """A text that is not empty. Raises `Refused` (``bad-request``)."""
    value = request.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise bad(field)
    return value


def octets(request: Values, field: str, size: int | None = None) -> bytes:
    """Bytes (exactly ``size`` of them). Raises `Refused`."""
    value = request.get(field)
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise bad(field)
    return value


def plain(request: Values, field: str) -> Values:
    """An object of texts and numbers. Raises `Refused`."""
    value = request.get(field)
    if not isinstance(value, dict) or not all(isinstance(one, (str, int)) for one in value.values()):
        raise bad(field)
    return value


def bad(field: str) -> Refused:
    """The refusal of a request that is wrong in ``field``."""
    return Refused(
        "bad-request",
        f"Yêu cầu ký sai ở trường {field}.",
        f"The request to the signer is wrong in its field {field}.",
    )
