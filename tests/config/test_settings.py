# SPDX-License-Identifier: AGPL-3.0-or-later
"""The settings file: its example is what the program documents, a typing error is named."""

from __future__ import annotations

from pathlib import Path

import pytest

import config
from config.refusal import Refused
from config.settings_file import example, read


def test_the_example_file_is_what_the_settings_say() -> None:
    shipped = Path(config.__file__).parent / "province.example.toml"
    assert shipped.read_text(encoding="utf-8") == example()


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "province.toml"
    file.write_text(example(), encoding="utf-8")
    settings = read(file)
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/congvan.db"
    assert example(settings) == example()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[mial]\nx = 1\n", "mial"),
        ("[mail]\nmax_mesage_bytes = 1\n", "max_mesage_bytes"),
        ("[mail]\nmax_message_bytes = '1'\n", "max_message_bytes"),
        ("[mail]\nmax_message_bytes = true\n", "max_message_bytes"),
        ("[queue]\nretry_minutes = [1, 'x']\n", "retry_minutes"),
        ("[queue]\nroutes = { a = 1 }\n", "routes"),
        ("x = 1\n", "x"),
        ("[mail\n", "line"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "province.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Refused) as refused:
        read(file)
    assert refused.value.code == "bad-settings"
    assert named in refused.value.en
    assert str(file) in refused.value.vi
