# SPDX-License-Identifier: AGPL-3.0-or-later
"""Coverage-guided fuzzing of what reads signatures: ``python -m tests.fuzz.signatures TARGET [atheris options]``.

Targets: ``cms`` (SignedData), ``envelope`` (encrypted CMS), ``pdf``, ``edxml``. Seeds are the frozen corpus. What must hold
for every input: only `Refused` is raised, nothing passes that is not the seed itself, and the answer comes in time.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["exchange"]):
    from config.refusal import Refused
    from exchange.sealing.enveloped import decrypt
    from exchange.sealing.judging import Judging
    from exchange.sealing.recipients import opener_of
    from exchange.sealing.signed import verify_signed
    from exchange.sealing.xml_signature import verify
    from exchange.trust.anchors import Anchors, read_certificates
    from exchange.trust.pdf_judge import judge_pdf

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
FILES = CORPUS / "files"
NOW = datetime.fromisoformat(json.loads((CORPUS / "expected.json").read_text())["now"])
JUDGING = Judging(Anchors(tuple(read_certificates((FILES / "trust" / "ca.pem").read_bytes()))), now=NOW)
OPENER = opener_of((FILES / "trust" / "b.pem").read_bytes())


def _signature() -> bytes:
    """The CMS of the signed letter."""
    text = (FILES / "signed.eml").read_bytes().partition(b'filename="smime.p7s"\r\n\r\n')[2]
    return base64.b64decode(text.partition(b"\r\n--")[0])


def cms(data: bytes) -> None:
    """Over content that nobody signed nothing passes."""
    try:
        outcome = verify_signed(data, b"nobody signed this", JUDGING).outcome
    except Refused:
        return
    assert outcome != "TOTAL-PASSED"


def envelope(data: bytes) -> None:
    """What opens is what was sealed."""
    try:
        opened = decrypt(data, [OPENER])
    except Refused:
        return
    assert not opened.authenticated or b"Noi dung" in opened.content


def pdf(data: bytes) -> None:
    """Only the seed is official."""
    verdict = judge_pdf(data, JUDGING.anchors, at=NOW)
    assert not verdict.official or data == SEEDS["pdf"][0]


def edxml(data: bytes) -> None:
    """Only the seed passes."""
    try:
        outcome = verify(data, JUDGING).outcome
    except Refused:
        return
    assert outcome != "TOTAL-PASSED" or data == SEEDS["edxml"][0]


SEEDS: dict[str, list[bytes]] = {
    "cms": [_signature(), (FILES / "detached-without-content.p7s").read_bytes()],
    "envelope": [(FILES / "sealed.p7m").read_bytes()],
    "pdf": [(FILES / "official.pdf").read_bytes(), (FILES / "shadow.pdf").read_bytes()],
    "edxml": [(FILES / one).read_bytes() for one in ("signed.edxml", "wrapped.edxml", "sha1.edxml")],
}
TARGETS: dict[str, Callable[[bytes], None]] = {"cms": cms, "envelope": envelope, "pdf": pdf, "edxml": edxml}


def main() -> None:
    """Runs one target; atheris ends the process."""
    logging.disable(logging.CRITICAL)
    name = sys.argv[1]
    folder = tempfile.mkdtemp(prefix="congvan-fuzz-")
    for number, seed in enumerate(SEEDS[name]):
        (Path(folder) / f"{number}").write_bytes(seed)
    longest = max(map(len, SEEDS[name])) + 4096
    words = [sys.argv[0], f"-max_len={longest}", "-timeout=20", "-rss_limit_mb=1500", *sys.argv[2:], folder]
    atheris.Setup(words, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
