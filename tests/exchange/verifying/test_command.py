# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan verify`` as a program of its own: no installation, exit codes, one JSON object."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.trust.authority import make_crl
from tests.exchange.sealing.province import Province
from tests.exchange.verifying.issued import Issued


@pytest.fixture(scope="module")
def issued(province: Province) -> Issued:
    return Issued(province)


@pytest.fixture
def files(province: Province, issued: Issued, folder: Path) -> Path:
    (folder / "p.eml").write_bytes(issued.built.mail)
    (folder / "e.evidence").write_bytes(issued.evidence())
    (folder / "r.receipt.json").write_bytes(issued.receipts[1][1])
    (folder / "ledger.vkey").write_text(province.log_key.vkey + "\n")
    for number, authority in enumerate((province.issuing, province.root)):
        crl = make_crl(authority, 4)
        (folder / f"{number}.crl").write_bytes(crl.public_bytes(Encoding.PEM if number else Encoding.DER))
    return folder


def _congvan(folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    environment = {name: text for name, text in os.environ.items() if name != "CONGVAN_CONFIG"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-m", "congvan.main", "verify", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    answer = json.loads(done.stdout) if "--json" in words and done.stdout else {}
    return done.returncode, answer, done.stdout + done.stderr


def test_packet(files: Path) -> None:
    code, answer, _ = _congvan(files, "p.eml", "--trust", "ca.pem", "--key", "b.pem", "--json")
    assert code == 0
    assert (answer["kind"], answer["encryption"], answer["official"]) == ("packet", "decrypted", True)
    code, answer, _ = _congvan(files, "p.eml", "--trust", "ca.pem", "--json")
    assert (code, answer["encryption"]) == (1, "failed")


def test_evidence_and_receipt(files: Path) -> None:
    code, answer, _ = _congvan(files, "--json", "e.evidence", "--trust", "ca.pem")
    assert (code, answer["verdict"], answer["not_covered"]) == (0, "TOTAL-PASSED", [])
    code, answer, _ = _congvan(files, "r.receipt.json", "--json")
    assert (code, answer["verdict"]) == (1, "INDETERMINATE")
    lists = ("--crl", "0.crl", "--crl", "1.crl", "--require-revocation", "--key", "ledger.vkey")
    code, answer, _ = _congvan(files, "r.receipt.json", "--trust", "ca.pem", *lists, "--json")
    assert (code, answer["signatures"][0]["revocation"]) == (0, "good")
    code, _, text = _congvan(files, "e.evidence", "--trust", "ca.pem")
    assert code == 0
    assert "TOTAL-PASSED" in text


def test_wrong_use(files: Path) -> None:
    assert _congvan(files)[0] == 2
    assert _congvan(files, "nothing.pdf")[0] == 1
    assert _congvan(files, "p.eml", "--key", "ca.pem")[0] == 1
    assert _congvan(files, "p.eml", "--trust", "p.eml")[0] == 1
