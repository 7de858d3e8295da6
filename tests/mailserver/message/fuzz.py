# SPDX-License-Identifier: AGPL-3.0-or-later
"""Coverage-guided fuzzing of the scanner: ``python -m tests.mailserver.message.fuzz [options of libFuzzer]``.

What must hold for any bytes: no exception, ASCII and balanced wire forms, offsets inside the message, parts of
bounded number, a packed form that reads back.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mailserver.message"]):
    from mailserver.message import Summary, body_bytes, body_text, html_text, scan, search_text
    from mailserver.message.structure import MAX_PARTS

WIRE = re.compile(rb'(?:[()\x20]|NIL|\d+|"(?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*")*')
SEEDS = (
    b"Subject: =?utf-8?b?Q8O0bmc=?=\r\nTo: a <a@b.example>, g: c@d.example;\r\n\r\nx",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: x\r\n\r\n--b--",
    b"Content-Type: text/html; charset=tcvn3\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>=C3=A9",
    b"Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%A9.pdf\r\n\r\n",
    b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nC\xe9ng h\xdfa x\xb7 h\xe9i",
)


def check(raw: bytes) -> None:
    """Raises `AssertionError`, or what the scanner raised."""
    one = scan(raw)
    for form in (one.envelope, one.bodystructure, one.body):
        assert WIRE.fullmatch(form), form
        bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", form)
        assert bare.count(b"(") == bare.count(b")")
    assert len(one.parts) <= MAX_PARTS + 1
    for part in one.parts:
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(raw)
        body_bytes(raw, part)
        html_text(body_text(raw, part))
    assert Summary.unpack(one.pack()).details == one.details
    search_text(raw, one)
    assert len(one.preview) <= 200


def main() -> None:
    """Seeds go into the first folder given, or are only tried."""
    folder = next((Path(one) for one in sys.argv[1:] if not one.startswith("-")), None)
    for number, seed in enumerate(SEEDS):
        check(seed)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"seed{number}").write_bytes(seed)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
