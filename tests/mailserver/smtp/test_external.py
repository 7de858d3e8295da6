# SPDX-License-Identifier: AGPL-3.0-or-later
"""AUTH EXTERNAL on submission (RFC 4422 §A, RFC 4954): the certificate shown in STARTTLS signs in."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path

from mailserver.accounts import devices
from tests.conftest import Province
from tests.mailserver.imap.test_external import Pair, own_made
from tests.mailserver.smtp.serving import certificate, serving

CV1, CV2 = "cv1@vpubnd.camau.example", "cv2@vpubnd.camau.example"
LETTER = b"From: cv1@vpubnd.camau.example\r\nTo: cv2@vpubnd.camau.example\r\nSubject: x\r\n\r\nx\r\n"


def _client(ca: Path, where: tuple[str, int], pair: Pair | None) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=ca)
    if pair is not None:
        context.load_cert_chain(pair.folder / "cert.pem", pair.folder / "key.pem")
    made = smtplib.SMTP("localhost", where[1])
    made.starttls(context=context)
    made.ehlo()
    return made


def test_a_certificate_submits_a_letter(small_province: Province, tmp_path: Path) -> None:
    pair = own_made(tmp_path / "pair")
    (tmp_path / "asking").mkdir()
    asking = certificate(tmp_path / "asking")
    asking.verify_mode = ssl.CERT_OPTIONAL
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    asking.load_verify_locations(cadata=pair.der)
    who = small_province.people[CV1]
    small_province.database.write(
        lambda conn: devices.add_certificate(conn, small_province.seal, who, "Máy in", pair.der, "x")
    )
    ca = tmp_path / "asking" / "ca.pem"
    with serving(small_province, tmp_path, submission_context=asking) as mail:
        with _client(ca, mail.submission, pair) as one:
            assert "EXTERNAL" in one.esmtp_features["auth"]
            assert one.docmd("AUTH", "EXTERNAL =")[0] == 235
            assert one.sendmail(CV1, [CV2], LETTER) == {}
        with _client(ca, mail.submission, pair) as one:
            assert one.docmd("AUTH", "EXTERNAL") == (334, b"")
            assert one.docmd("Y3YyQHZwdWJuZC5jYW1hdS5leGFtcGxl")[0] == 535  # cv2: another's account
        with _client(ca, mail.submission, None) as one:
            assert "EXTERNAL" not in one.esmtp_features["auth"]
            assert one.docmd("AUTH", "EXTERNAL =")[0] == 535
        assert b"with ESMTPSA id" in mail.inbox(CV2)[0]
        with _client(
            tmp_path / "ca.pem", mail.mx, pair
        ) as one:  # other servers are not asked for certificates
            assert one.docmd("NOOP")[0] == 250
