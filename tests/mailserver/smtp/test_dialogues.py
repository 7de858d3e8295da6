# SPDX-License-Identifier: AGPL-3.0-or-later
"""The transcripts of tests/dialogues/smtp, spoken to a real server.

``@mx`` chooses the listener, ``C:`` is a line we send, ``R:`` raw bytes with escapes, ``S:`` a line we must get
(a pattern with ``*``), ``X:`` the end of the connection.
"""

from __future__ import annotations

import base64
import fnmatch
import re
from pathlib import Path

import pytest

from tests.conftest import PASSWORD
from tests.mailserver.smtp.serving import Serving, Talk

DIALOGUES = sorted((Path(__file__).parents[2] / "dialogues" / "smtp").glob("*.txt"))


def escaped(text: str) -> bytes:
    return re.sub(
        rb"\\(r|n|t|0|\\|x[0-9a-f]{2})",
        lambda found: (
            bytes([int(found[1][1:], 16)])
            if found[1][:1] == b"x"
            else {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}[found[1]]
        ),
        text.encode(),
    )


def filled(text: str) -> str:
    text = text.replace("{password}", PASSWORD)
    return re.sub(r"\{b64:([^}]*)\}", lambda found: base64.b64encode(found[1].encode()).decode(), text)


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda one: one.stem)
def test_dialogue(path: Path, mail: Serving) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    (where,) = [line[1:] for line in lines if line.startswith("@")]
    with Talk(getattr(mail, where), greet=False) as talk:
        for number, line in enumerate(lines, 1):
            kind, text = line[:2], filled(line[3:])
            if kind == "C:":
                talk.send(text.encode() + b"\r\n")
            elif kind == "R:":
                talk.send(escaped(text))
            elif kind == "S:":
                got = talk.file.readline().decode().rstrip("\r\n")
                pattern = re.sub(r"[\[\]?]", "?", text)
                assert fnmatch.fnmatchcase(got, pattern), f"{path.name}:{number}: {got!r} is not {text!r}"
            elif kind == "X:":
                assert talk.file.read() == b"", f"{path.name}:{number}: the connection goes on"
    if path.stem.startswith("q34"):  # and stored byte for byte
        (stored,) = mail.inbox("cv2@vpubnd.camau.example")
        text = (
            "Subject: Công văn hỏa tốc\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nKính gửi các đơn vị "
        )
        assert text.encode() + b"\xff\r\n" in stored


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 7
