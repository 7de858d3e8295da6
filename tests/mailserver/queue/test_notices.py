# SPDX-License-Identifier: AGPL-3.0-or-later
"""Notices are well-formed whatever the other side said."""

from __future__ import annotations

import email
import email.policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.queue import notices
from mailserver.queue.notices import Report


def build(**more: Any) -> bytes:
    values = {
        "hostname": "mail.example",
        "sender": "a@b.example",
        "envelope_id": "",
        "arrived_us": 1_767_600_000_000_000,
        "original": b"Return-Path: <a@b>\r\nSubject: s\r\n\r\nbody\r\n",
        "reports": [Report("c@d.example", "", "5.1.1", "550 no", "mx.example")],
    }
    return notices.build("failed", **(values | more))


@given(st.text(max_size=200), st.text(max_size=200), st.binary(max_size=300))
def test_nothing_can_be_put_into_it(answer: str, envelope_id: str, original: bytes) -> None:
    """S16: whatever the other server, the envelope id or the original say."""
    reports = [Report("c@d.example", "", "5.1.1", answer, "mx.example")]
    made = build(envelope_id=envelope_id, reports=reports, original=b"Subject: x\r\n\r\n" + original)
    message: Any = email.message_from_bytes(made, policy=email.policy.SMTP)
    assert len(list(message.iter_parts())) == 3
    assert len(message.get_all("Subject")) == 1
    status = list(message.iter_parts())[1]
    assert len(status.get_payload()) == 2


def test_the_body_of_the_original_stays_at_home() -> None:
    made = build()
    assert b"\r\nSubject: s\r\n" in made
    assert b"body" not in made
    assert b"Return-Path: <a@b>" not in made


def test_letters_outside_ascii() -> None:
    made = build(reports=[Report("thư@d.example", "", "5.1.1", "550 không", "mx")])
    assert b"message/global-delivery-status" in made
    assert "Final-Recipient: utf-8; thư@d.example".encode() in made


@pytest.mark.parametrize(
    ("action", "notify", "sender", "told"),
    [
        ("failed", "", "a@b", True),
        ("failed", "FAILURE,DELAY", "a@b", True),
        ("failed", "SUCCESS", "a@b", False),
        ("failed", "NEVER", "a@b", False),
        ("failed", "FAILURE", "", False),
        ("delayed", "", "a@b", True),
        ("delayed", "FAILURE", "a@b", False),
        ("delivered", "", "a@b", False),
        ("delivered", "SUCCESS", "a@b", True),
    ],
)
def test_wanted(action: notices.Action, notify: str, sender: str, told: bool) -> None:
    assert notices.wanted(action, notify, sender) is told
