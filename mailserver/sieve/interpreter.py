# SPDX-License-Identifier: AGPL-3.0-or-later
"""Running a checked script over a letter: a function of both and of the moment, bounded by `Limits`.

Whatever goes wrong at run time ends in the implicit keep (RFC 5228 §2.10.6): a letter is never lost by a script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from config.clock import VIETNAM, to_local
from config.refusal import Refused
from mailserver.accounts.model import canonical
from mailserver.message.dates import parse_date
from mailserver.sieve import dates
from mailserver.sieve.actions import Action, FileInto, Ran, Redirect, Reject, Vacation, kept
from mailserver.sieve.letter import Letter
from mailserver.sieve.matching import TooMuch, Work, matched
from mailserver.sieve.program import Program, Step
from mailserver.sieve.variables import Variables

_MOST_FLAGS = 32
_FLAG_CHARACTERS = frozenset('(){ %*"]')


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may cost and do: steps, characters compared, actions, redirects."""

    steps: int = 10_000
    characters: int = 20_000_000
    actions: int = 32
    redirects: int = 4


T = TypeVar("T")


class _Stop(Exception):
    """``stop``."""


def run(
    program: Program,
    letter: Letter,
    now_us: int,
    limits: Limits | None = None,
    mailbox_exists: Callable[[str], bool] = lambda _: False,
) -> Ran:
    """What ``program`` wants done with ``letter``. Never raises for what a script can do."""
    one = _Run(program, letter, now_us, limits or Limits(), mailbox_exists)
    try:
        one.block(program.steps)
    except _Stop:
        pass
    except (TooMuch, Refused) as problem:
        return kept(problem.en if isinstance(problem, Refused) else str(problem))
    return one.result()


class _Run:
    def __init__(
        self,
        program: Program,
        letter: Letter,
        now_us: int,
        limits: Limits,
        mailbox_exists: Callable[[str], bool],
    ) -> None:
        self._letter = letter
        self._now = now_us
        self._limits = limits
        self._mailbox_exists = mailbox_exists
        self._work = Work(limits.characters)
        self._steps = 0
        self._variables = Variables("variables" in program.required)
        self._flags: list[str] = []
        self._actions: list[Action] = []
        self._keep = True

    def result(self) -> Ran:
        """The actions; implicit keep unless something cancelled it."""
        found = list(self._actions)
        if self._keep and not any(isinstance(one, FileInto) and one.mailbox == "INBOX" for one in found):
            found.insert(0, FileInto("INBOX", tuple(self._flags)))
        if any(isinstance(one, Reject) for one in found) and any(
            isinstance(one, (FileInto, Redirect, Vacation)) for one in found
        ):
            return kept("reject can't go with other actions")  # RFC 5429 §2.4
        return Ran(tuple(found))

    # --- commands

    def block(self, steps: Iterable[Step]) -> None:
        """Run commands in order."""
        done = False
        for step in steps:
            self._count()
            match step.name:
                case "if":
                    done = self._test(step.tests[0])
                    if done:
                        self.block(step.block)
                case "elsif":
                    if not done and self._test(step.tests[0]):
                        done = True
                        self.block(step.block)
                case "else":
                    if not done:
                        self.block(step.block)
                case _:
                    self._command(step)

    def _count(self) -> None:
        self._steps += 1
        if self._steps > self._limits.steps:
            raise TooMuch("the script has too many steps for one letter")

    def _command(self, step: Step) -> None:
        match step.name:
            case "stop":
                raise _Stop
            case "keep":
                self._keep = False
                self._act(FileInto("INBOX", self._flags_of(step)))
            case "discard":
                self._keep = False
            case "fileinto":
                self._keep = self._keep and "copy" in step.tags
                name = self._text(step.string(0))
                box = "INBOX" if name.upper() == "INBOX" else name
                self._act(FileInto(box, self._flags_of(step), "create" in step.tags))
            case "redirect":
                self._keep = self._keep and "copy" in step.tags
                self._act(Redirect(canonical(self._text(step.string(0)))))
                if sum(isinstance(one, Redirect) for one in self._actions) > self._limits.redirects:
                    raise TooMuch("too many redirects")
            case "reject" | "ereject":
                self._keep = False
                self._act(Reject(self._text(step.string(0))))
            case "vacation":
                self._vacation(step)
            case "set":
                self._variables.set(step)
            case "setflag" | "addflag" | "removeflag":
                self._set_flags(step)

    def _act(self, action: Action) -> None:
        if action in self._actions:
            return
        if isinstance(action, FileInto):  # one copy in one mailbox (RFC 5228 §2.10.3): the later flags count
            same = [
                one for one in self._actions if isinstance(one, FileInto) and one.mailbox == action.mailbox
            ]
            for one in same:
                self._actions.remove(one)
        if len(self._actions) >= self._limits.actions:
            raise TooMuch("too many actions")
        self._actions.append(action)

    def _vacation(self, step: Step) -> None:
        if any(isinstance(one, Vacation) for one in self._actions):
            raise TooMuch("vacation can't be done twice")  # RFC 5230 §4.7
        days = step.tags.get("days", 7)
        addresses = step.tags.get("addresses", [])
        assert isinstance(days, int)
        assert isinstance(addresses, list)
        reason = self._text(step.string(0))
        self._act(
            Vacation(
                reason,
                min(max(days, 1), 365),
                self._text(str(step.tags.get("subject", ""))),
                self._text(str(step.tags.get("from", ""))),
                tuple(self._text(one).lower() for one in addresses[:50]),
                "mime" in step.tags,
                self._text(str(step.tags.get("handle", ""))),
            )
        )

    def _text(self, text: str) -> str:
        filled = self._variables.filled(text)
        self._work.spend(len(filled))
        return filled

    # --- flags (RFC 5232)

    def _flags_of(self, step: Step) -> tuple[str, ...]:
        given = step.tags.get("flags")
        if isinstance(given, list):
            return tuple(self._flag_names(given))
        return tuple(self._flags)

    def _flag_names(self, given: Iterable[str]) -> list[str]:
        found: dict[str, str] = {}
        for text in given:
            for name in self._text(text).split():
                fit = name.isascii() and name.isprintable() and len(name) <= 64
                system = name.startswith("\\")
                known = name.lower() in ("\\seen", "\\answered", "\\flagged", "\\deleted", "\\draft")
                if fit and (known if system else not _FLAG_CHARACTERS & set(name)):
                    found.setdefault(name.lower(), name)
        return list(found.values())[:_MOST_FLAGS]

    def _set_flags(self, step: Step) -> None:
        name = step.string(0)
        old = self._flag_names([self._variables.get(name)]) if name else self._flags
        given = self._flag_names(step.strings(1))
        if step.name == "setflag":
            new = given
        elif step.name == "addflag":
            new = self._flag_names([*old, *given])
        else:
            gone = {one.lower() for one in given}
            new = [one for one in old if one.lower() not in gone]
        if name:
            self._variables.put(name, " ".join(new))
        else:
            self._flags = new

    # --- tests

    def _test(self, step: Step) -> bool:
        self._count()
        match step.name:
            case "true":
                return True
            case "false":
                return False
            case "not":
                return not self._test(step.tests[0])
            case "allof":
                return all(self._test(one) for one in step.tests)
            case "anyof":
                return any(self._test(one) for one in step.tests)
            case "exists":
                return all(self._letter.has(self._text(one)) for one in step.strings(0))
            case "size":
                limit = step.values[0]
                assert isinstance(limit, int)
                return self._letter.size > limit if "over" in step.tags else self._letter.size < limit
            case "mailboxexists":
                return all(self._mailbox_exists(self._text(one)) for one in step.strings(0))
            case "hasflag":
                names = [one for one in step.strings(0) if one]
                values = (
                    self._flag_names([self._variables.get(one) for one in names]) if names else self._flags
                )
                return self._matches(step, values, 1)
            case "date" | "currentdate":
                return self._date(step)
        return self._matches(step, self._values(step), 0 if step.name == "body" else 1)

    def _matches(self, step: Step, values: Iterable[str], keys: int) -> bool:
        found = matched(step, list(values), [self._text(one) for one in step.strings(keys)], self._work)
        if found is not None and "matches" in step.tags:
            self._variables.matched = found
        return found is not None

    def _values(self, step: Step) -> list[str]:
        match step.name:
            case "header":
                return [
                    value
                    for name in step.strings(0)
                    for value in _chosen(step, self._letter.header(self._text(name)))
                ]
            case "address":
                return [
                    part
                    for name in step.strings(0)
                    for field in _chosen(step, self._letter.addresses(self._text(name)))
                    for one in field
                    for part in _part(step, one.address)
                ]
            case "envelope":
                return [
                    part
                    for name in step.strings(0)
                    for part in _part(step, self._letter.envelope(name.lower()))
                ]
            case "string":
                return [self._text(one) for one in step.strings(0)]
        return self._body(step)

    def _body(self, step: Step) -> list[str]:
        if "raw" in step.tags:
            return [self._letter.raw_body]
        types = step.tags.get("content")
        return self._letter.body([self._text(one) for one in types] if isinstance(types, list) else None)

    def _date(self, step: Step) -> bool:
        if step.name == "currentdate":
            moment: datetime | None = to_local(self._now)
            name, keys = step.string(0), 1
        else:
            written = _chosen(step, self._letter.header(self._text(step.string(0))))[:1]
            # Received has its date behind the semicolon (RFC 5260 §4).
            value = written[0].rpartition(";")[2].strip() if written else ""
            found = parse_date(value.encode("ascii", "replace")) if value else None
            moment = None if found is None else to_local(found)
            name, keys = step.string(1), 2
            if moment is not None and "originalzone" in step.tags:
                moment = moment.astimezone(dates.original_zone(value))
        if moment is None:
            return self._matches(step, [], keys)
        if "zone" in step.tags:
            moment = moment.astimezone(dates.zone_of(str(step.tags["zone"])))
        elif "originalzone" not in step.tags:
            moment = moment.astimezone(VIETNAM)
        part = dates.part(moment, name.lower())
        return self._matches(step, [] if part is None else [part], keys)


def _chosen(step: Step, values: list[T]) -> list[T]:
    """All values, or the one ``:index`` (and ``:last``) names (RFC 5260 §6)."""
    index = step.tags.get("index")
    if not isinstance(index, int) or isinstance(index, bool):
        return values
    ordered = values[::-1] if "last" in step.tags else values
    return ordered[index - 1 : index]


def _part(step: Step, address: str) -> list[str]:
    """The part of an address that the tags name; none when it has no such part (``:detail``, RFC 5233)."""
    local, _, domain = address.rpartition("@")
    if not address:
        return [""]
    if "localpart" in step.tags:
        return [local]
    if "domain" in step.tags:
        return [domain]
    user, plus, detail = local.partition("+")
    if "user" in step.tags:
        return [user]
    if "detail" in step.tags:
        return [detail] if plus else []
    return [address]
