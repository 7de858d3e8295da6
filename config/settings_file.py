# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one configuration file, ``province.toml``, read strictly and written with every explanation.

A key that is not known, or of the wrong type, is refused with its name: a typing error in a setting
must not silently mean the default. ``config/province.example.toml`` is what `example` writes.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, cast

from config.refusal import Refused
from config.settings import Settings

_SECTIONS = [one.name for one in dataclasses.fields(Settings) if one.name not in ("base", "file")]


def read(file: Path) -> Settings:
    """The settings of ``file``. Raises `Refused` naming what is wrong with it."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise _bad(file, f"{problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise _bad(file, str(problem)) from problem
    sections: dict[str, Any] = {}
    hints = typing.get_type_hints(Settings)
    for name, table in raw.items():
        if name not in _SECTIONS or not isinstance(table, dict):
            raise _bad(file, f"[{name}] is not a section; known: {', '.join(_SECTIONS)}")
        sections[name] = _section(file, name, hints[name], table)
    return Settings(base=file.absolute().parent, file=file.absolute(), **sections)


def _section(file: Path, name: str, kind: Any, table: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in table.items():
        if key not in hints:
            raise _bad(file, f"[{name}] {key} is not a setting; known: {', '.join(hints)}")
        if not _fits(value, hints[key]):
            raise _bad(file, f"[{name}] {key} must be {_name(hints[key])}")
        values[key] = float(value) if hints[key] is float else value
    return kind(**values)


def _fits(value: object, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is dict:
        return isinstance(value, dict) and all(
            isinstance(one, str) for one in cast(dict[str, object], value).values()
        )
    if origin is list:
        (inner,) = typing.get_args(hint)
        return isinstance(value, list) and all(_fits(one, inner) for one in cast(list[object], value))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _name(hint: Any) -> str:
    return str(hint) if isinstance(hint, types.GenericAlias) else str(getattr(hint, "__name__", hint))


def _bad(file: Path, what: str) -> Refused:
    return Refused(
        "bad-settings",
        f"Tệp cấu hình {file} không đọc được: {what}",
        f"The settings file {file} can't be used: {what}",
    )


def example(settings: Settings | None = None, *, comments: bool = True) -> str:
    """The settings file as text, every key with its explanation (``settings``: its values)."""
    shown = settings or Settings(base=Path(), file=Path())
    lines = ["# congvan: the settings of one installation."] if comments else []
    for name in _SECTIONS:
        section = getattr(shown, name)
        lines += ["", f"# {type(section).__doc__}"] if comments else [""]
        lines.append(f"[{name}]")
        for one in dataclasses.fields(section):
            if comments:
                lines.append(f"# {one.metadata['doc']}")
            lines.append(f"{one.name} = {_toml(getattr(section, one.name))}")
    return "\n".join(lines).strip() + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return str(value)
