# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checking a script (RFC 5228 §2.10.5): every name known, required, with the arguments it takes.

What comes out needs no further checking: each `Step` has its tags by name and its positional arguments in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mailserver.sieve.grammar import MAX_SCRIPT, BadScript, Node, Tag, parse

__all__ = ["EXTENSIONS", "BadScript", "Program", "Step", "compiled"]

Kind: TypeAlias = Literal["string", "strings", "number"]
EXTENSIONS = (
    "fileinto",
    "reject",
    "ereject",
    "envelope",
    "encoded-character",
    "copy",
    "imap4flags",
    "vacation",
    "relational",
    "comparator-i;ascii-numeric",
    "comparator-i;unicode-casemap",
    "comparator-i;octet",
    "comparator-i;ascii-casemap",
    "subaddress",
    "date",
    "index",
    "body",
    "variables",
    "mailbox",
)
"""What ``require`` may name."""

COMPARATORS = ("i;octet", "i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap")
_RELATIONS = ("gt", "ge", "lt", "le", "eq", "ne")
_MATCH = {"is": None, "contains": None, "matches": None, "count": "relational", "value": "relational"}
_PART = {"all": None, "localpart": None, "domain": None, "user": "subaddress", "detail": "subaddress"}


@dataclass(frozen=True, slots=True)
class Step:
    """A checked command or test. ``tags`` maps a tag to its value (True when it takes none)."""

    name: str
    line: int
    tags: dict[str, str | int | list[str] | bool]
    values: tuple[str | int | list[str], ...]
    tests: tuple[Step, ...] = ()
    block: tuple[Step, ...] = ()

    def strings(self, position: int) -> list[str]:
        """A positional argument as a list of strings."""
        value = self.values[position]
        assert not isinstance(value, int)
        return [value] if isinstance(value, str) else value

    def string(self, position: int) -> str:
        """A positional argument that is one string."""
        value = self.values[position]
        assert isinstance(value, str)
        return value


@dataclass(frozen=True, slots=True)
class Program:
    """A checked script."""

    steps: tuple[Step, ...]
    required: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Form:
    values: tuple[Kind, ...] = ()
    tags: dict[str, Kind | None] = field(default_factory=dict)
    needs: str = ""
    tests: int = 0
    """0 none, 1 one, 2 a list."""
    block: bool = False
    matching: bool = False
    addressing: bool = False
    optional_first: bool = False
    """The first positional argument may be left out (imap4flags' variable name)."""


_FLAGS: dict[str, Kind | None] = {"flags": "strings"}
_HEADER_TAGS: dict[str, Kind | None] = {"index": "number", "last": None}
_ZONE: dict[str, Kind | None] = {"zone": "string", "originalzone": None}
_MODIFIERS = ("lower", "upper", "lowerfirst", "upperfirst", "quotewildcard", "length")

COMMANDS: dict[str, _Form] = {
    "if": _Form(tests=1, block=True),
    "elsif": _Form(tests=1, block=True),
    "else": _Form(block=True),
    "require": _Form(("strings",)),
    "stop": _Form(),
    "keep": _Form(tags=_FLAGS),
    "discard": _Form(),
    "fileinto": _Form(("string",), {**_FLAGS, "copy": None, "create": None}, "fileinto"),
    "redirect": _Form(("string",), {"copy": None}),
    "reject": _Form(("string",), needs="reject"),
    "ereject": _Form(("string",), needs="ereject"),
    "setflag": _Form(("string", "strings"), needs="imap4flags", optional_first=True),
    "addflag": _Form(("string", "strings"), needs="imap4flags", optional_first=True),
    "removeflag": _Form(("string", "strings"), needs="imap4flags", optional_first=True),
    "set": _Form(("string", "string"), dict.fromkeys(_MODIFIERS), "variables"),
    "vacation": _Form(
        ("string",),
        {
            "days": "number",
            "subject": "string",
            "from": "string",
            "addresses": "strings",
            "mime": None,
            "handle": "string",
        },
        "vacation",
    ),
}
TESTS: dict[str, _Form] = {
    "true": _Form(),
    "false": _Form(),
    "not": _Form(tests=1),
    "allof": _Form(tests=2),
    "anyof": _Form(tests=2),
    "exists": _Form(("strings",)),
    "size": _Form(("number",), {"over": None, "under": None}),
    "header": _Form(("strings", "strings"), _HEADER_TAGS, matching=True),
    "address": _Form(("strings", "strings"), _HEADER_TAGS, matching=True, addressing=True),
    "envelope": _Form(("strings", "strings"), needs="envelope", matching=True, addressing=True),
    "hasflag": _Form(("strings", "strings"), needs="imap4flags", matching=True, optional_first=True),
    "string": _Form(("strings", "strings"), needs="variables", matching=True),
    "date": _Form(("string", "string", "strings"), {**_ZONE, **_HEADER_TAGS}, "date", matching=True),
    "currentdate": _Form(("string", "strings"), {"zone": "string"}, "date", matching=True),
    "body": _Form(("strings",), {"raw": None, "text": None, "content": "strings"}, "body", matching=True),
    "mailboxexists": _Form(("strings",), needs="mailbox"),
}
_TAG_NEEDS = {"copy": "copy", "flags": "imap4flags", "create": "mailbox", "index": "index", "last": "index"}
_ONE_OF = (
    tuple(_MATCH),
    tuple(_PART),
    ("over", "under"),
    ("raw", "text", "content"),
    ("lower", "upper"),
    ("lowerfirst", "upperfirst"),
    ("zone", "originalzone"),
)
_ADDRESS_FIELDS = frozenset(
    [
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "resent-from",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "resent-sender",
        "return-path",
        "disposition-notification-to",
        "delivered-to",
        "errors-to",
        "mail-followup-to",
        "x-original-to",
    ]
)
_FIELD_NAME = re.compile(r"[!-9;-~]{1,200}")
_HEX = re.compile(r"\$\{(hex|unicode):\s*([0-9a-fA-F]{1,6}(?:\s+[0-9a-fA-F]{1,6})*)\s*\}", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")


def compiled(script: str, most: int = MAX_SCRIPT) -> Program:
    """The checked program of a script of at most ``most`` octets. Raises `BadScript`."""
    nodes = parse(script, most)
    check = _Check()
    position = 0
    while position < len(nodes) and nodes[position].name == "require":
        check.require(nodes[position])
        position += 1
    return Program(check.block(nodes[position:]), frozenset(check.required))


class _Check:
    def __init__(self) -> None:
        self.required: set[str] = set()

    def require(self, node: Node) -> None:
        """``require`` at the beginning of a script."""
        step = self._bind(node, COMMANDS["require"])
        for name in step.strings(0):
            if name not in EXTENSIONS:
                raise BadScript(
                    node.line, f"không có phần mở rộng “{name}”.", f"there is no extension “{name}”."
                )
            self.required.add(name)

    def block(self, nodes: list[Node]) -> tuple[Step, ...]:
        """The steps of a block; ``elsif`` and ``else`` follow an ``if``."""
        found: list[Step] = []
        for node in nodes:
            form = COMMANDS.get(node.name)
            if form is None:
                raise BadScript(
                    node.line, f"không có lệnh “{node.name}”.", f"there is no command “{node.name}”."
                )
            if node.name == "require":
                raise BadScript(node.line, "require phải đứng đầu.", "require must come first.")
            if node.name in ("elsif", "else") and (not found or found[-1].name not in ("if", "elsif")):
                raise BadScript(node.line, f"{node.name} phải theo sau if.", f"{node.name} must follow if.")
            found.append(self._bind(node, form))
        return tuple(found)

    def _test(self, node: Node) -> Step:
        form = TESTS.get(node.name)
        if form is None:
            raise BadScript(
                node.line, f"không có phép thử “{node.name}”.", f"there is no test “{node.name}”."
            )
        if node.block is not None:
            raise BadScript(node.line, "phép thử không có khối lệnh.", "a test has no block.")
        return self._bind(node, form)

    def _bind(self, node: Node, form: _Form) -> Step:
        self._needed(node, node.name, form.needs)
        allowed = dict(form.tags)
        if form.matching:
            allowed |= {"is": None, "contains": None, "matches": None, "count": "string", "value": "string"}
            allowed["comparator"] = "string"
        if form.addressing:
            allowed |= dict.fromkeys(_PART)
        tags, values = self._arguments(node, allowed)
        if form.optional_first and len(values) == len(form.values) - 1:
            values.insert(0, "" if form.values[0] == "string" else [])
            if node.name != "hasflag":
                values[0] = ""
        elif form.optional_first and "variables" not in self.required:
            raise BadScript(node.line, "thiếu require “variables”.", "require “variables” is missing.")
        if len(values) != len(form.values):
            raise BadScript(
                node.line,
                f"{node.name} cần {len(form.values)} tham số.",
                f"{node.name} takes {len(form.values)} arguments, not {len(values)}.",
            )
        bound = tuple(self._kind(node, one, kind) for one, kind in zip(values, form.values, strict=True))
        self._structure(node, form)
        step = Step(
            node.name,
            node.line,
            tags,
            bound,
            tuple(self._test(one) for one in node.tests),
            self.block(node.block) if node.block is not None else (),
        )
        self._special(step)
        return step

    def _arguments(
        self, node: Node, allowed: dict[str, Kind | None]
    ) -> tuple[dict[str, str | int | list[str] | bool], list[str | int | list[str]]]:
        tags: dict[str, str | int | list[str] | bool] = {}
        values: list[str | int | list[str]] = []
        given = iter(node.arguments)
        for one in given:
            if not isinstance(one, Tag):
                values.append(self._decoded(one))
                continue
            if one.name not in allowed or one.name in tags or values:
                raise BadScript(
                    node.line, f":{one.name} không dùng được ở đây.", f":{one.name} can't stand here."
                )
            kind = allowed[one.name]
            self._needed(
                node, f":{one.name}", _TAG_NEEDS.get(one.name) or _MATCH.get(one.name) or _PART.get(one.name)
            )
            if kind is None:
                tags[one.name] = True
                continue
            value = next(given, None)
            if value is None or isinstance(value, Tag):
                raise BadScript(node.line, f":{one.name} thiếu giá trị.", f":{one.name} lacks its value.")
            tags[one.name] = self._kind(node, self._decoded(value), kind)
        for group in _ONE_OF:
            if len(tags.keys() & set(group)) > 1:
                raise BadScript(
                    node.line, "hai lựa chọn trái nhau.", f"only one of :{', :'.join(group)} can stand here."
                )
        return tags, values

    def _needed(self, node: Node, what: str, extension: str | None) -> None:
        if extension and extension not in self.required:
            raise BadScript(
                node.line, f"{what} cần require “{extension}”.", f"{what} needs require “{extension}”."
            )

    @staticmethod
    def _kind(node: Node, value: str | int | list[str], kind: Kind) -> str | int | list[str]:
        fits: dict[Kind, tuple[type, ...]] = {"string": (str,), "number": (int,), "strings": (str, list)}
        if not isinstance(value, fits[kind]):
            raise BadScript(
                node.line, f"tham số của {node.name} sai kiểu.", f"{node.name} takes a {kind} here."
            )
        return [value] if kind == "strings" and isinstance(value, str) else value

    @staticmethod
    def _structure(node: Node, form: _Form) -> None:
        tests = len(node.tests)
        if (form.tests == 0 and tests) or (form.tests == 1 and (tests != 1 or node.grouped)):
            raise BadScript(
                node.line, f"{node.name}: sai số phép thử.", f"{node.name}: wrong number of tests."
            )
        if form.tests == 2 and not node.grouped:
            raise BadScript(
                node.line, f"{node.name} cần ( … ).", f"{node.name} takes a list of tests in ( )."
            )
        if form.block != (node.block is not None):
            raise BadScript(
                node.line, f"{node.name}: sai khối lệnh.", f"{node.name}: a block is missing or not allowed."
            )

    def _special(self, step: Step) -> None:
        for tag in ("count", "value"):
            if tag in step.tags and str(step.tags[tag]).lower() not in _RELATIONS:
                raise BadScript(
                    step.line, f":{tag} sai phép so sánh.", f":{tag} takes one of {', '.join(_RELATIONS)}."
                )
        comparator = step.tags.get("comparator")
        if comparator is not None:
            if comparator not in COMPARATORS:
                raise BadScript(step.line, "không có phép so này.", f"there is no comparator {comparator}.")
            if comparator in ("i;ascii-numeric", "i;unicode-casemap"):
                self._needed(Node(step.name, step.line), comparator, f"comparator-{comparator}")
            if comparator == "i;ascii-numeric" and ("contains" in step.tags or "matches" in step.tags):
                raise BadScript(
                    step.line, "số không so được theo phần.", "i;ascii-numeric has no substrings."
                )
        if step.name == "size" and not step.tags:
            raise BadScript(step.line, "size cần :over hoặc :under.", "size takes :over or :under.")
        if step.name == "set" and not _VARIABLE.fullmatch(step.string(0)):
            raise BadScript(step.line, "tên biến không dùng được.", "the variable's name can't be used.")
        if step.name in ("header", "exists", "address"):
            self._fields(step)
        if step.name == "envelope" and any(one.lower() not in ("from", "to") for one in step.strings(0)):
            raise BadScript(step.line, "envelope chỉ có from và to.", "envelope knows from and to.")
        if "index" in step.tags and step.tags["index"] == 0:
            raise BadScript(step.line, ":index tính từ 1.", ":index counts from 1.")
        if "last" in step.tags and "index" not in step.tags:
            raise BadScript(step.line, ":last cần :index.", ":last needs :index.")

    def _fields(self, step: Step) -> None:
        for one in step.strings(0):
            if "${" in one and "variables" in self.required:
                continue
            if not _FIELD_NAME.fullmatch(one):
                raise BadScript(
                    step.line, f"“{one[:40]}” không phải tên trường.", f"{one[:40]!r} is no field name."
                )
            if step.name == "address" and one.lower() not in _ADDRESS_FIELDS:
                raise BadScript(step.line, f"“{one}” không chứa địa chỉ.", f"{one!r} is no address field.")

    def _decoded(self, value: str | int | list[str]) -> str | int | list[str]:
        """``${hex:…}`` and ``${unicode:…}`` (RFC 5228 §2.4.2.4)."""
        if isinstance(value, int) or "encoded-character" not in self.required:
            return value
        if isinstance(value, list):
            return [_HEX.sub(_characters, one) for one in value]
        return _HEX.sub(_characters, value)


def _characters(found: re.Match[str]) -> str:
    numbers = [int(one, 16) for one in found[2].split()]
    if found[1].lower() == "hex":
        if any(one > 255 for one in numbers):
            return found[0]
        return bytes(numbers).decode("utf-8", "replace")
    if any(one > 0x10FFFF or 0xD800 <= one < 0xE000 for one in numbers):
        return found[0]
    return "".join(map(chr, numbers))
