# SPDX-License-Identifier: AGPL-3.0-or-later
"""A file with a partner's OpenPGP key: read by gpg in a home that is thrown away, and written out alone."""

from __future__ import annotations

from config.refusal import Refused
from exchange.sealing.openpgp import OpenPgp, PgpKey

_BEGIN = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_MOST = 50


def is_openpgp_key(data: bytes) -> bool:
    """Whether it is armour of public keys."""
    return data.lstrip().startswith(_BEGIN)


def one_public_key(data: bytes, fingerprint: str = "") -> tuple[PgpKey, bytes]:
    """The key with this primary ``fingerprint`` ("": the only one in the file) and its armour alone.

    Raises `Refused`: none, several, another, weak, without an address, or nothing that can be encrypted to.
    """
    wanted = fingerprint.upper().replace(" ", "").replace(":", "")
    with OpenPgp.temporary([data]) as gpg:
        keys = list(gpg.keys().values())[:_MOST]
        chosen = [one for one in keys if one.fingerprint == wanted] if wanted else keys
        if len(chosen) != 1:
            listed = ", ".join(one.fingerprint for one in keys[:5])
            raise Refused(
                "which-openpgp-key",
                f"Tệp có các khóa: {listed}. Nêu đúng vân tay bằng --fingerprint, sau khi đối chiếu với cơ quan.",
                f"The file holds the keys {listed}. Name the right one with --fingerprint, compared with the agency.",
            )
        (key,) = chosen
        if key.secret:
            raise Refused(
                "secret-key",
                "Tệp có khóa riêng; chỉ nhận khóa công khai.",
                "The file holds a private key; only public keys are taken.",
            )
        if not key.strong:
            raise Refused(
                "weak-key", "Khóa dưới 2048 bit không được nhận.", "A key under 2048 bits is not taken."
            )
        gpg.encrypt(b"", [key.fingerprint])
        return key, gpg.export(key.fingerprint)
