# SPDX-License-Identifier: AGPL-3.0-or-later
"""``--help`` names every command, and the commands on addresses, deputies and DKIM keys do what they say."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from congvan.main import COMMANDS, main, parser
from tests.congvan.conftest import HOME, OTHER, Resting

CV1, CV2, LEADER = f"cv1@{HOME}", f"cv2@{HOME}", f"lanhdao@{HOME}"
GROUP, LIST = f"phong1@{HOME}", f"lanhdao-so@{HOME}"


def commands(of: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, str]]:
    """Each command and act with its line."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {one.dest: one.help or "" for one in action._choices_actions}
            for name, below in action.choices.items():
                yield f"{path}{name}", lines.get(name, "")
                yield from commands(below, f"{path}{name} ")


def test_help_has_a_line_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    found = dict(commands(parser()))
    assert [name for name, line in found.items() if not line] == []
    assert len([name for name in found if " " not in name]) == len(COMMANDS)
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {name}" in shown for name in found if " " not in name)


def unhelpful(of: argparse.ArgumentParser) -> Iterator[str]:
    """Each argument and option that ``--help`` does not explain."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from unhelpful(below)
        elif not action.help:
            yield f"{of.prog} {'/'.join(action.option_strings) or action.dest}"


def test_help_explains_every_argument_and_option() -> None:
    assert list(unhelpful(parser())) == []


@pytest.mark.parametrize("words", [["nothing"], ["address"], ["dkim", "make"], ["delegation", "add", CV1]])
def test_wrong_use_ends_with_2(words: list[str], resting: Resting) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "-c", str(resting.settings.file)])
    assert ended.value.code == 2


# --- address


def test_a_group_is_made_shown_changed_and_removed(resting: Resting) -> None:
    made = ("address", "add", GROUP, "--kind", "group", "--name", "Phòng 1", "--member", CV1, "--member", CV2)
    assert resting.json(*made) == (0, {"address": GROUP, "accounts": 2})
    code, shown, words = resting.run("address", "show", GROUP)
    assert code == 0
    assert shown["accounts"] == [CV1, CV2]
    assert shown["writers"] == "inside"
    assert words.splitlines() == [f"group {GROUP}", CV1, CV2]
    changed = ("--writers", "named", "--writer", LEADER, "--send-as", CV1)
    assert resting.json("address", "add", GROUP, "--kind", "group", "--member", CV2, *changed)[0] == 0
    (one,) = resting.run("address", "list")[1]["items"]
    assert (one["members"], one["writers"], one["named"], one["send_as"]) == ([CV2], "named", [LEADER], [CV1])
    assert resting.json("address", "remove", GROUP) == (0, {"removed": GROUP})
    assert resting.run("address", "list")[1:] == ({"items": []}, "–\n")
    for act in ("show", "remove"):
        code, told, _ = resting.run("address", act, GROUP)
        assert (code, told["error"]) == (1, "no-such-address")
        assert "congvan address list" in told["vi"]


def test_a_list_follows_the_directory(resting: Resting) -> None:
    rule = ("--kind", "list", "--agency", "H12.02", "--role", "leader")
    assert resting.json("address", "add", LIST, *rule) == (0, {"address": LIST, "accounts": 1})
    assert resting.run("address", "show", LIST)[1]["accounts"] == [f"lanhdao@{OTHER}"]


@pytest.mark.parametrize(
    "words",
    [
        (CV1, "--kind", "alias", "--member", CV2),
        ("x@ngoai.example", "--kind", "group", "--member", CV1),
        (GROUP, "--kind", "group", "--member", "khong-co@ngoai.example"),
        (GROUP, "--kind", "alias", "--member", CV1, "--member", CV2),
    ],
    ids=["somebody's", "not ours", "a stranger", "an alias of two"],
)
def test_what_can_not_be_an_address_is_refused(words: tuple[str, ...], resting: Resting) -> None:
    code, told = resting.json("address", "add", *words)
    assert (code, told["error"]) == (1, "bad-shared-address")
    assert resting.json("address", "list")[1] == {"items": []}


# --- delegation


def test_a_deputy_is_named_listed_and_taken_back(resting: Resting) -> None:
    days = ("--from", "2030-01-01", "--until", "2030-01-31")
    assert resting.json("delegation", "add", LEADER, CV1, "--reads", *days) == (
        0,
        {"owner": LEADER, "number": 1},
    )
    assert resting.json("delegation", "add", LEADER, CV2, "--sends", "behalf")[0] == 0
    code, told, words = resting.run("delegation", "list")
    first, second = told["items"]
    assert code == 0
    assert (first["deputy"], first["reads"], first["holds"]) == (CV1, True, False)
    assert (first["from"], first["until"]) == ("2030-01-01T00:00:00+07:00", "2030-02-01T00:00:00+07:00")
    assert (second["deputy"], second["sends"], second["until"], second["holds"]) == (
        CV2,
        "behalf",
        None,
        True,
    )
    assert f"{LEADER} 1 → {CV1} reads" in words
    assert resting.json("delegation", "remove", LEADER, "1") == (0, {"removed": 1})
    assert resting.json("delegation", "remove", LEADER, "1")[1]["error"] == "no-such-delegation"
    assert [one["number"] for one in resting.json("delegation", "list")[1]["items"]] == [2]


@pytest.mark.parametrize(
    "words",
    [
        (LEADER, CV1, "--reads"),
        (LEADER, LEADER, "--sends", "as"),
        (LEADER, CV1),
        (LEADER, f"khong-co@{HOME}", "--sends", "as"),
        (LEADER, CV1, "--reads", "--from", "2030-02-01", "--until", "2030-01-01"),
    ],
    ids=["no end", "oneself", "nothing", "nobody", "ends before it begins"],
)
def test_what_can_not_be_a_delegation_is_refused(words: tuple[str, ...], resting: Resting) -> None:
    code, told = resting.json("delegation", "add", *words)
    assert code == 1
    assert told["vi"]
    assert told["en"]
    assert resting.json("delegation", "list")[1] == {"items": []}


# --- dkim


def test_keys_are_made_used_replaced_and_removed(resting: Resting) -> None:
    domain = HOME.partition(".")[2]
    assert "congvan dkim make" in resting.run("dkim", "list")[2]
    code, made = resting.json("dkim", "make", domain.upper() + ".")
    assert code == 0
    assert {one["state"] for one in made["items"]} == {"new"}
    assert {one["algorithm"].partition("-")[0] for one in made["items"]} == {"rsa", "ed25519"}
    assert all(one["record"].startswith("v=DKIM1; k=") for one in made["items"])
    assert all(one["name"].endswith(f"._domainkey.{domain}") for one in made["items"])
    assert f"congvan dkim use {domain}" in resting.run("dkim", "list")[2]
    assert {one["state"] for one in resting.json("dkim", "use", domain)[1]["items"]} >= {"active"}
    first = {one["selector"] for one in made["items"]}
    refused = resting.json("dkim", "remove", domain, sorted(first)[0])
    assert refused[0] == 1
    second = {one["selector"] for one in resting.json("dkim", "make", domain)[1]["items"]}
    assert not first & second
    assert resting.json("dkim", "use", domain)[0] == 0
    states = {one["selector"]: one["state"] for one in resting.json("dkim", "list")[1]["items"]}
    assert {states[one] for one in first} == {"retired"}
    assert {states[one] for one in second} == {"active"}
    assert "congvan dkim remove" in resting.run("dkim", "list")[2]
    for selector in first:
        assert resting.json("dkim", "remove", domain, selector)[0] == 0
    assert {one["selector"] for one in resting.json("dkim", "list")[1]["items"]} == second


def test_dkim_of_a_domain_that_is_not_ours_is_refused(resting: Resting) -> None:
    code, told = resting.json("dkim", "make", "ngoai.example")
    assert (code, told["error"]) == (1, "not-our-domain")
    assert resting.json("dkim", "use", HOME)[0] == 1
