# SPDX-License-Identifier: AGPL-3.0-or-later
"""Passkeys on the pages: adding one, signing in with one (W3C WebAuthn level 3; S40 in tests).

The challenge lies in the browser's signed cookie for five minutes. With an enrolment code the signer, which
has a challenge of its own, takes the passkey for approving signatures too.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from flask import session
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException

from config.refusal import Refused
from exchange.signing.key_client import Keys
from mailserver.accounts import Account, passkeys
from mailserver.accounts.accounts import BadCredentials
from webmail import frame

_KEY = "passkey"
_LIVES_S = 300
_ALGORITHMS = (-7, -257, -8)


def options_to_add(code: str) -> dict[str, Any]:
    """What the browser needs to make a passkey. With ``code`` its challenge is the signer's."""
    who, accounts = frame.account(), frame.parts().accounts
    settings = frame.parts().settings
    challenge = secrets.token_bytes(32)
    if code:
        challenge, _ = Keys(frame.parts().exchange.signer).passkey_challenge(who.address)
    _keep(challenge)
    known = [bytes_to_base64url(one.credential) for one in passkeys.of(accounts, who)]
    return {
        "challenge": bytes_to_base64url(challenge),
        "rp": {"id": settings.passkey_host, "name": settings.installation.name},
        "user": {
            "id": bytes_to_base64url(passkeys.handle(accounts, who)),
            "name": who.address,
            "displayName": who.name,
        },
        "pubKeyCredParams": [{"type": "public-key", "alg": one} for one in _ALGORITHMS],
        "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
        "excludeCredentials": [] if code else [{"type": "public-key", "id": one} for one in known],
        "attestation": "none",
        "timeout": _LIVES_S * 1000,
    }


def add(response: str, label: str, code: str) -> bool:
    """Take the browser's answer; returns whether it may approve signatures too. Raises `Refused`."""
    who, accounts = frame.account(), frame.parts().accounts
    challenge, settings = _taken(), frame.parts().settings
    try:
        made = verify_registration_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=settings.passkey_host,
            expected_origin=list(settings.passkey_origins),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise Refused(
            "passkey-not-made",
            "Thiết bị không tạo được khóa truy cập đúng yêu cầu (cần vân tay, khuôn mặt hoặc mã khóa máy).",
            "The device made no passkey that fits (it needs a fingerprint, face or screen lock).",
        ) from None
    if code:
        Keys(frame.parts().exchange.signer).enrol_passkey(who.address, code, response)
    known = {one.credential for one in passkeys.of(accounts, who)}
    if made.credential_id not in known:
        passkeys.add(accounts, who, made.credential_id, made.credential_public_key, made.sign_count, label)
    return bool(code)


def options_to_enter() -> dict[str, Any]:
    """What the browser needs to sign in: no address, the passkey says who it is."""
    challenge = secrets.token_bytes(32)
    _keep(challenge)
    return {
        "challenge": bytes_to_base64url(challenge),
        "rpId": frame.parts().settings.passkey_host,
        "userVerification": "required",
        "timeout": _LIVES_S * 1000,
    }


def enter(response: str) -> Account:
    """Who the passkey is of. Raises `BadCredentials`, which of the checks failed is not said."""
    accounts, settings = frame.parts().accounts, frame.parts().settings
    challenge = _taken()
    try:
        told = json.loads(response) if len(response) <= 16 * 1024 else {}
        who = passkeys.owner(accounts, base64url_to_bytes(told["response"]["userHandle"]))
        credential = base64url_to_bytes(told["rawId"])
        kept = [one for one in passkeys.of(accounts, who) if one.credential == credential] if who else []
        if who is None or not kept:
            raise BadCredentials
        done = verify_authentication_response(
            credential=told,
            expected_challenge=challenge,
            expected_rp_id=settings.passkey_host,
            expected_origin=list(settings.passkey_origins),
            credential_public_key=kept[0].key,
            credential_current_sign_count=kept[0].count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise BadCredentials from None
    passkeys.used(accounts, who, kept[0], done.new_sign_count)
    return who


def _keep(challenge: bytes) -> None:
    session[_KEY] = [bytes_to_base64url(challenge), int(time.time()) + _LIVES_S]


def _taken() -> bytes:
    """The challenge of this browser, good once. Raises `Refused`."""
    kept = session.pop(_KEY, None)
    if not kept or kept[1] < time.time():
        raise Refused(
            "passkey-too-late",
            "Đã quá 5 phút hoặc trang đã cũ. Tải lại trang rồi thử lại.",
            "More than 5 minutes went by, or the page is old. Reload it and try again.",
        )
    return base64url_to_bytes(str(kept[0]))
