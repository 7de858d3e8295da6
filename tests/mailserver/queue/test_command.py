# SPDX-License-Identifier: AGPL-3.0-or-later
"""``congvan queue`` on a small installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.database import Database, metadata
from config.seal import create_keyring
from config.settings import Settings
from config.settings_file import example, read
from congvan.installation import Installation
from congvan.main import main
from mailserver.store import blobs, outbound


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with two queued messages."""
    file = tmp_path / "province.toml"
    file.write_text(example(), encoding="utf-8")
    made = read(file)
    made.data_dir.mkdir()
    (made.data_dir / "congvan.db").touch()
    made.run_dir.mkdir()
    made.master_key.parent.mkdir(parents=True, exist_ok=True)
    create_keyring(made.master_key, made.keyring)
    database = Database(made.database_url, made.run_dir / "write.lock")
    database.write(lambda conn: metadata.create_all(conn))
    database.close()
    parts = Installation(made)
    prepared = blobs.prepare(parts.seal, b"Subject: q\r\n\r\n")
    parts.store.find  # noqa: B018 - joins segments to the database

    def job(conn: object) -> None:
        blob = blobs.put(conn, parts.segments, prepared, 2)  # type: ignore[arg-type]
        for number in range(2):
            new = outbound.NewOutbound(0, blob, "a@b.example", f"r{number}@c.example")
            outbound.add(conn, parts.seal, new)  # type: ignore[arg-type]

    parts.database.write(job)
    parts.close()
    return made


def run(settings: Settings, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["-c", str(settings.file), "queue", *words])
    return code, capsys.readouterr().out


def test_list_hold_retry(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(settings, capsys, "list", "--json")
    items = json.loads(out)["items"]
    assert code == 0
    assert [(one["agency"], one["row"], one["state"], one["recipient"]) for one in items] == [
        (0, 1, "waiting", "r0@c.example"),
        (0, 2, "waiting", "r1@c.example"),
    ]
    assert run(settings, capsys, "hold", "0", "2")[0] == 0
    assert [one["state"] for one in json.loads(run(settings, capsys, "list", "--json")[1])["items"]] == [
        "waiting",
        "held",
    ]
    assert "r1@c.example" in run(settings, capsys, "list")[1]
    assert run(settings, capsys, "retry", "0", "2")[0] == 0
    assert json.loads(run(settings, capsys, "retry", "--all", "--json")[1]) == {"retried": 2}


def test_refusals(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, capsys, "hold", "0", "9")[0] == 1
    assert run(settings, capsys, "retry", "0", "9")[0] == 1
    assert run(settings, capsys, "retry", "H99", "1")[0] == 1
    for words in (("retry",), ("retry", "0"), ("retry", "0", "1", "--all"), ("hold", "0")):
        with pytest.raises(SystemExit) as ended:
            run(settings, capsys, *words)
        assert ended.value.code == 2


def test_show_hold_release_expire(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(settings, capsys, "show", "0", "1", "--json")
    assert code == 0
    told = json.loads(said)
    assert told["recipient"] == "r0@c.example"
    assert told["size"] == len(b"Subject: q\r\n\r\n")
    assert "Subject" not in said  # an operator sees envelopes
    for verb, state in (("hold", "held"), ("release", "waiting"), ("expire", "expiring")):
        assert run(settings, capsys, verb, "0", "1")[0] == 0
        listed = json.loads(run(settings, capsys, "list", "--json")[1])
        assert listed["items"][0]["state"] == state
    assert run(settings, capsys, "release", "0", "2")[0] == 1  # it is not held
    assert run(settings, capsys, "expire", "7", "7")[0] == 1
