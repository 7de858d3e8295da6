# SPDX-License-Identifier: AGPL-3.0-or-later
"""PDF objects written briefly: plain Python values become the objects of pyHanko."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

from pyhanko.pdf_utils import generic

_make: Any = generic


def name(value: str) -> generic.NameObject:
    """A name, with its slash."""
    return generic.pdf_name(value)


def numbers(values: Iterable[float]) -> generic.ArrayObject:
    """An array of numbers; whole ones as integers, others with two decimals."""
    return generic.ArrayObject(_number(one) for one in values)


def dictionary(entries: Mapping[str, Any]) -> Any:
    """A dictionary; str becomes a name when it begins with a slash, int and float become numbers."""
    return _make.DictionaryObject({name(key): value_of(one) for key, one in entries.items()})


def value_of(value: Any) -> Any:
    """The PDF object of a plain value; PDF objects stay as they are."""
    if isinstance(value, generic.PdfObject):
        return value
    if isinstance(value, str):
        return name(value) if value.startswith("/") else generic.pdf_string(value)
    if isinstance(value, bool):
        return _make.BooleanObject(value)
    if isinstance(value, (int, float)):
        return _number(value)
    return dictionary(value)


def stream(data: bytes, entries: Mapping[str, Any], *, compressed: bool = True) -> Any:
    """A stream with its dictionary."""
    made: Any = generic.StreamObject(stream_data=data)
    made.update(dictionary(entries))
    if compressed:
        made.compress()
    return made


def form(data: bytes, width: float, height: float, entries: Mapping[str, Any] | None = None) -> Any:
    """A form XObject of this size."""
    box = numbers((0, 0, width, height))
    return stream(data, {"/Type": "/XObject", "/Subtype": "/Form", "/BBox": box, **(entries or {})})


def entry(container: Any, key: str) -> Any:
    """What stands under ``key``, references followed; None when nothing does."""
    if key not in container:
        return None
    return container[key]


def written(writer: Any) -> bytes:
    """The file that a writer writes."""
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _number(value: float) -> Any:
    if float(value).is_integer():
        return _make.NumberObject(int(value))
    return _make.FloatObject(f"{value:.2f}")
