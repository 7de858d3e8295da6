# SPDX-License-Identifier: AGPL-3.0-or-later
"""Words stand in the catalogue alone, in both languages; templates and code hold none."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

import webmail
from webmail.catalogue import entries, say
from webmail.shown import number

ROOM = Path(webmail.__file__).parent
TEMPLATES = sorted((ROOM / "templates").rglob("*.html"))
CODE = sorted(ROOM.rglob("*.py"))
_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.S)
_UNSEEN = re.compile(
    r"<(style|svg|symbol)\b.*?</\1>|<!--.*?-->|<!doctype[^>]*>|<kbd>[^<]*</kbd>", re.S | re.I
)
_READ_ALOUD = re.compile(r'\b(?:aria-label|title|placeholder|alt|label|value)="([^"]*)"')
_MARKS = re.compile(r"[^\x00-\x7f·–…“”▾×]")
_CLASSES = re.compile(r"\{% block main_class %\}.*?\{% endblock %\}", re.S)
_HIDDEN = re.compile(r'<input type="hidden"[^>]*>')
_ASKED = re.compile(r"""(?:\bt\(|\bsay\(\w+, |toast\.leave\(|_key = )["']([^"']+)["'](?! ~)""")
_KEYS = re.compile(r"""["']([a-z]+\.[a-z][a-z0-9-]*)["'~]""")


def _words_in(source: str) -> list[str]:
    bare = _UNSEEN.sub(" ", _HIDDEN.sub(" ", _JINJA.sub(" ", _CLASSES.sub(" ", source))))
    said = _READ_ALOUD.findall(bare) + re.split(r"<[^>]*>", bare)
    return [one.strip() for one in said if any(letter.isalpha() for letter in one)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_words(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert _words_in(source) == []
    for code in _JINJA.findall(source):
        for text in re.findall(r'"([^"]*)"|\'([^\']*)\'', code):
            assert not _MARKS.search("".join(text)), code


def test_the_check_sees_words() -> None:
    assert _words_in('<p>Chào</p><a aria-label="Mở">{{ t("x.y") }}</a>') == ["Mở", "Chào"]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOM).as_posix())
def test_code_holds_no_words_but_refusals(path: Path) -> None:
    """Vietnamese stands in code only as the words of a refusal (`config.refusal`), beside the English."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr):
                documentation.add(id(first.value))
    refusals = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _is_refusal(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if id(node) not in documentation | refusals and any(
            letter.isalpha() and ord(letter) > 0x7F for letter in text
        ):
            raise AssertionError(f"{path.name}:{node.lineno} says {text!r}")  # type: ignore[attr-defined]


def _is_refusal(node: ast.Call) -> bool:
    named = node.func
    if isinstance(named, ast.Attribute) and named.attr == "__init__":
        return True
    name = named.id if isinstance(named, ast.Name) else ""
    return name in ("Refused", "Unavailable", "NotAllowed", "BadRecipient")


def test_scripts_hold_no_words() -> None:
    for path in (ROOM / "static").glob("*.js"):
        code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        assert code.isascii(), path.name
        assert not re.search(r">[A-Z][a-z]+ [a-z]+", code)


def test_both_languages_say_the_same_things() -> None:
    fields = lambda text: {name for _, name, _, _ in string.Formatter().parse(text) if name}  # noqa: E731
    for key, (vietnamese, english) in entries().items():
        assert vietnamese.strip(), key
        assert english.strip(), key
        assert fields(vietnamese) == fields(english), key
        assert "!" not in vietnamese + english, key


def test_every_key_that_is_asked_for_exists_and_every_entry_is_used() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (*TEMPLATES, *CODE)]
    asked = {key for source in sources for key in _ASKED.findall(source)}
    assert {key for key in asked if key not in entries()} == set()
    used = {key for source in sources for key in _KEYS.findall(source)}
    made = {
        prefix
        for source in sources
        for pair in re.findall(r"""["']([a-z]+\.[a-z-]*)["'] ~|f["']([a-z]+\.[a-z-]*)\{""", source)
        for prefix in pair
        if prefix
    }
    idle = [key for key in entries() if key not in used and not any(key.startswith(one) for one in made)]
    assert idle == []


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("vi", "mail.no-such-key")
    assert say("en", "mail.unread-count", n=3) == "3 unread"


def test_every_count_takes_numbers_grouped_numbers_and_what_stands_for_one() -> None:
    counted = [key for key, (_, en) in entries().items() if re.search(r"\{\w+:\w+,\w+\}", en)]
    assert counted
    for key in counted:
        names = {name for _, name, _, _ in string.Formatter().parse(entries()[key][1]) if name}
        for value in (1, 2, number(1200, "en"), "50+"):
            assert say("en", key, **dict.fromkeys(names, value))
    assert say("en", "document.found", n=number(1, "en")) == "1 document"
    assert say("en", "document.found", n=number(1200, "en")) == "1,200 documents"
    assert say("en", "document.found", n="50+") == "50+ documents"
