# SPDX-License-Identifier: AGPL-3.0-or-later
"""How far a restore is: a file in its folder, until `province.toml` makes the folder an installation."""

from __future__ import annotations

import json
from pathlib import Path

from config.durable import sync_folder, write_durably
from config.refusal import Refused
from config.settings import Settings, Store
from config.settings_file import read


class Unfinished:
    """The restore into ``folder``; `of` looks whether it was begun before."""

    def __init__(self, folder: Path, words: dict[str, str], done: dict[str, int], *, begun: bool) -> None:
        self._file = folder / "restoring.json"
        self._words = words
        self._done = done
        self.begun = begun
        self.settings = folder / "restoring.toml"

    @classmethod
    def of(cls, folder: Path, generation: str, database_url: str, store: Store) -> Unfinished:
        """Raises `Refused` (``other-restore``) when another restore was begun in ``folder``."""
        words = {
            "generation": generation,
            "database": database_url,
            "bucket": f"{store.s3_endpoint} {store.s3_bucket} {store.s3_prefix}".strip(),
        }
        if (folder / "province.toml").exists():
            return cls(folder, words, {}, begun=False)
        try:
            told = json.loads((folder / "restoring.json").read_bytes())
        except FileNotFoundError:
            return cls(folder, words, {}, begun=False)
        if told["words"] != words:
            was = told["words"]["generation"]
            raise Refused(
                "other-restore",
                f"{folder} chứa lần phục hồi dở của bản {was}: chạy lại lệnh cũ với --generation {was}, hoặc chọn thư mục mới.",
                f"{folder} holds an unfinished restore of {was}: repeat that command with --generation {was}, or take a new folder.",
            )
        return cls(folder, words, told["done"], begun=True)

    def begin(self) -> None:
        """From now on the folder belongs to this restore."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._write()

    def done(self, step: str) -> int:
        """What `note` said of a step, 0 when it was not done."""
        return self._done.get(step, 0)

    def note(self, step: str, count: int) -> None:
        """A step is done, durably, and need not be done again; ``count``: how many things it did."""
        self._done[step] = count
        self._write()

    def finish(self) -> Settings:
        """Give the settings their name: from now on the folder is an installation."""
        file = self.settings.with_name("province.toml")
        self.settings.rename(file)
        sync_folder(file.parent)
        self._file.unlink()
        return read(file)

    def _write(self) -> None:
        write_durably(self._file, json.dumps({"words": self._words, "done": self._done}).encode(), mode=0o600)
