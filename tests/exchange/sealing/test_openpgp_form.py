# SPDX-License-Identifier: AGPL-3.0-or-later
"""The armour of a packet: gpg opens it whatever the length of the message is, with padding at its end or without."""

from __future__ import annotations

import email

import pytest

from exchange.sealing.openpgp_form import read_openpgp_mail, write_openpgp_mail
from exchange.sealing.openpgp_wire import armour
from exchange.sealing.packet_form import Envelope
from tests.exchange.sealing.pgp import gpg, gpg_home, make_pair

_ENVELOPE = Envelope("a@a.example", ("b@b.example",), "Mon, 02 Mar 2026 08:00:00 +0700", "<1@a.example>")


def test_gpg_opens_every_length() -> None:
    left = {0, 1, 2}
    with gpg_home() as home:
        pair = make_pair(home, "B <b@b.example>")
        for size in range(40):
            content = bytes(range(size))
            message = gpg(home, "--encrypt", "-z", "0", "-r", pair.fingerprint, data=content).stdout
            if len(message) % 3 not in left:
                continue
            left.discard(len(message) % 3)
            mail = write_openpgp_mail(_ENVELOPE, armour("MESSAGE", message))
            assert read_openpgp_mail(mail)[1] == message
            armoured = email.message_from_bytes(mail).get_payload()[1].get_payload(decode=True)
            done = gpg(home, "--decrypt", data=armoured)
            assert (done.returncode, done.stdout) == (0, content), done.stderr
    if left:
        pytest.fail(f"no message of these lengths modulo 3 was made: {left}")
