# SPDX-License-Identifier: AGPL-3.0-or-later
"""One trust world and one issued document for all attacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.trust.verdict import SignatureVerdict, Verdict
from tests.exchange.sealing.province import Province
from tests.exchange.signing.house import House, build, running

_OF_A_PROGRAM = re.compile(
    r"Traceback|Error\b|Exception|0x[0-9a-f]{6}|<class|object at|NoneType|\bself\b|line \d+, in|\.py\b"
)


@pytest.fixture(scope="package")
def province() -> Province:
    return Province()


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = build(tmp_path_factory.mktemp("house"))
    with running(made):
        yield made


@pytest.fixture(scope="package")
def issued(house: House) -> bytes:
    return house.issued()


@pytest.fixture
def folder(province: Province, tmp_path: Path) -> Path:
    province.write_files(tmp_path)
    return tmp_path


def speaks_plainly(verdict: Verdict) -> bool:
    """Whether no word of it is an exception's text."""
    said = [verdict.reason, verdict.sub_indication, *verdict.words("vi"), *verdict.words("en")]
    said += [one.sub_indication for one in verdict.signatures]
    said += [text for one in verdict.problems or () for text in one.values()]
    return not any(_OF_A_PROGRAM.search(text) for text in said)


def seal_of(verdict: Verdict) -> SignatureVerdict:
    """The organisation's line, the last one."""
    return [one for one in verdict.signatures if one.role == "organisation"][-1]
