# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every dialogue of tests/dialogues/imap against the real server, and that they cover the rules they name."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from tests.mailserver.imap.conftest import Starter
from tests.mailserver.imap.dialogue import Dialogue, play, read

FOLDER = Path(__file__).parents[2] / "dialogues" / "imap"
DIALOGUES = [read(path) for path in sorted(FOLDER.glob("*.txt"))]

BINARY = (
    "Content-Type: multipart/mixed; boundary=b\\r\\n\\r\\n--b\\r\\nContent-Transfer-Encoding: quoted-printable\\r\\n\\r\\n"
    "ch=C3=A0o=\\r\\n\\r\\n--b\\r\\nContent-Type: image/png\\r\\nContent-Transfer-Encoding: base64\\r\\n\\r\\nQQBC\\r\\n--b\\r\\n"
    "\\r\\n\\r\\n--b\\r\\nContent-Transfer-Encoding: x-uue\\r\\n\\r\\nx\\r\\n--b--\\r\\n"
)


@pytest.mark.parametrize(
    "dialogue", DIALOGUES, ids=[f"{one.name}-{'-'.join(one.rules)}" for one in DIALOGUES]
)
def test_dialogue(dialogue: Dialogue, serve: Starter, password: str) -> None:
    """What the client says is answered as the file wishes."""
    options = dialogue.options
    limit = int(options.get("limit", 1024 * 1024))
    served = serve(plaintext=options.get("plaintext") != "no", limit=limit)
    served.fill(int(options.get("mail", 0)))
    person = served.person("cv1").address
    if "quota" in options:
        served.province.limit(served.person("cv1"), int(options["quota"]))
    values = {
        "cv1": person,
        "cv2": served.person("cv2").address,
        "vt1": served.person("vt1").address,
        "cv1_length": str(len(person)),
        "password": password,
        "password_length": str(len(password)),
        "plain": base64.b64encode(f"\0{person}\0{password}".encode()).decode(),
        "registry": served.province.home.registry_address,
        "other_registry": served.province.other.registry_address,
        "domain": served.province.home.domain,
        "parens": "(" * 1000,
        "twenty": "x" * 20_000,
        "literals": " TEXT {1+}\r\nx" * 300,
        "long": "x" * 70_000,
        "eight": "Subject: chào\\r\\nFrom: Vũ <a@x.vn>\\r\\nContent-Type: text/plain; name=sổ\\r\\n\\r\\nhi",
        "eight_length": "77",
        "binary": BINARY,
        "binary_length": str(len(BINARY.replace("\\r\\n", "\r\n"))),
    }
    play(dialogue, served.port, values)


def test_the_rules_are_named() -> None:
    """Each quirk of clients, Q1 to Q35, has a transcript of its name, or a test where no transcript shows it (time, sockets)."""
    transcripts = {path.name[1:3] for path in FOLDER.parent.glob("*/q[0-9][0-9]-*.txt")}
    tests = {
        number
        for path in Path(__file__).parent.glob("test_*.py")
        for number in re.findall(r"^def test_q(\d\d)_", path.read_text(encoding="utf-8"), re.M)
    }
    assert transcripts | tests >= {f"{number:02}" for number in range(1, 36)}
    named = {rule for one in DIALOGUES for rule in one.rules}
    assert {f"Q{int(one)}" for one in transcripts} <= named | {"Q32", "Q34"}
    assert {"S4", "S5", "S8", "S30"} <= named
