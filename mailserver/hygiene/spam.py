# SPDX-License-Identifier: AGPL-3.0-or-later
"""The spam filter: Bayes over features, trained by what people move into and out of Thư rác, for this installation.

Robinson's and Fisher's way of combining (as SpamBayes does): most letters come out near 0 or 1, and one about
which little is known near the middle. What is kept are keyed digests and counts; from them no word can be read.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import sqlalchemy as sa

from config.seal import Seal
from mailserver.hygiene.schema import spam_learned, spam_word

MOST_WORDS = 200_000
"""Rows of the table; beyond it the ones seen once, longest ago, go."""
LEAST = 20
"""The filter says nothing before it has seen so many letters of each kind."""

_TOTALS = b"\0" * 8
_STRENGTH, _UNKNOWN = 0.45, 0.5
_MOST_TELLING = 150
_LEAST_TELLING = 0.1
_SLICE = 400
_DAY_US = 86_400_000_000
_MEMORY_US = 400 * _DAY_US


class Model:
    """The counts in memory, 16 bytes a word; judges a letter in about 0.2 ms."""

    def __init__(
        self,
        name: Callable[[str], bytes],
        totals: tuple[int, int],
        names: array[int],
        spam: array[int],
        ham: array[int],
    ) -> None:
        self._name = name
        self.totals = totals
        self._names, self._spam, self._ham = names, spam, ham

    def probability(self, features: Sequence[str]) -> float | None:
        """How surely it is spam, 0 to 1; None while too little was learned."""
        if min(self.totals) < LEAST:
            return None
        names = self._names
        chances = []
        for one in features:
            wanted = int.from_bytes(self._name(one), "big")
            at = bisect_left(names, wanted)
            if at < len(names) and names[at] == wanted:
                chances.append(_word(self._spam[at], self._ham[at], *self.totals))
        return combined(chances)


class SpamFilter:
    """The filter of one installation; functions of a connection, use in any process."""

    def __init__(self, seal: Seal) -> None:
        self._key = seal.digest("spam", b"words")
        self._seal = seal

    def model(self, conn: sa.Connection, known: Model | None = None) -> Model:
        """What was learned, to judge letters by without the database; ``known`` again when nothing was learned since."""
        totals = self._counts(conn, [_TOTALS]).get(_TOTALS, (0, 0))
        if known is not None and known.totals == totals:
            return known
        names, spam, ham = array("Q"), array("I"), array("I")
        for row in conn.execute(
            sa.select(spam_word.c.word, spam_word.c.spam, spam_word.c.ham).order_by(spam_word.c.word)
        ):
            names.append(int.from_bytes(row.word, "big"))
            spam.append(row.spam)
            ham.append(row.ham)
        return Model(self._name, totals, names, spam, ham)

    def probability(self, conn: sa.Connection, features: Sequence[str]) -> float | None:
        """`Model.probability` of what was learned up to now."""
        return self.model(conn).probability(features)

    def learn(
        self, conn: sa.Connection, digest: bytes, features: Sequence[str], junk: bool, at_us: int
    ) -> bool:
        """Learn a letter (``digest`` of its bytes) as spam or as wanted; what was learned as the other is taken back.

        False when it was learned so before.
        """
        name = self._seal.digest("spam-letter", digest)
        row = conn.execute(sa.select(spam_learned.c.junk).where(spam_learned.c.message == name)).first()
        if row is not None and bool(row.junk) == junk:
            return False
        if row is None:
            conn.execute(sa.insert(spam_learned).values(message=name, junk=junk, at_us=at_us))
        else:
            conn.execute(
                sa.update(spam_learned).where(spam_learned.c.message == name).values(junk=junk, at_us=at_us)
            )
        names = sorted({_TOTALS, *(self._name(one) for one in features)})
        self._add(conn, names, int(junk), int(not junk), at_us)
        if row is not None:
            self._add(conn, names, -int(not junk), -int(junk), at_us)
        return True

    def tidy(self, conn: sa.Connection, at_us: int) -> None:
        """Keep the tables bounded."""
        conn.execute(sa.delete(spam_learned).where(spam_learned.c.at_us < at_us - _MEMORY_US))
        count = int(conn.execute(sa.select(sa.func.count()).select_from(spam_word)).scalar() or 0)
        if count <= MOST_WORDS:
            return
        oldest = (
            sa.select(spam_word.c.word)
            .where(spam_word.c.word != _TOTALS)
            .order_by((spam_word.c.spam + spam_word.c.ham) > 1, spam_word.c.seen_us)
            .limit(min(count - MOST_WORDS + MOST_WORDS // 10, 5000))
        )
        conn.execute(sa.delete(spam_word).where(spam_word.c.word.in_(oldest)))

    def _name(self, feature: str) -> bytes:
        return blake2b(feature.encode("utf-8", "replace"), digest_size=8, key=self._key).digest()

    def _counts(self, conn: sa.Connection, names: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
        table = spam_word
        found: dict[bytes, tuple[int, int]] = {}
        for start in range(0, len(names), _SLICE):
            part = names[start : start + _SLICE]
            for row in conn.execute(
                sa.select(table.c.word, table.c.spam, table.c.ham).where(table.c.word.in_(part))
            ):
                found[bytes(row.word)] = (row.spam, row.ham)
        return found

    def _add(self, conn: sa.Connection, names: Sequence[bytes], spam: int, ham: int, at_us: int) -> None:
        table = spam_word
        known = self._counts(conn, names)
        new = [
            {"word": one, "spam": max(0, spam), "ham": max(0, ham), "seen_us": at_us}
            for one in names
            if one not in known
        ]
        if new:
            conn.execute(sa.insert(table), new)
        old = [
            {"w": one, "s": max(0, known[one][0] + spam), "h": max(0, known[one][1] + ham), "t": at_us}
            for one in names
            if one in known
        ]
        if old:
            conn.execute(
                sa.update(table)
                .where(table.c.word == sa.bindparam("w"))
                .values(spam=sa.bindparam("s"), ham=sa.bindparam("h"), seen_us=sa.bindparam("t")),
                old,
            )


def _word(spam: int, ham: int, all_spam: int, all_ham: int) -> float:
    """How surely a letter with this feature is spam, drawn to the middle while it was seen seldom."""
    seen = spam + ham
    if not seen:
        return _UNKNOWN
    in_spam, in_ham = spam / all_spam, ham / all_ham
    sure = in_spam / (in_spam + in_ham)
    return (_STRENGTH * _UNKNOWN + seen * sure) / (_STRENGTH + seen)


def combined(chances: Iterable[float]) -> float:
    """Fisher's combination of the most telling features."""
    telling = [one for one in chances if abs(one - 0.5) >= _LEAST_TELLING]
    telling = sorted(telling, key=lambda one: -abs(one - 0.5))[:_MOST_TELLING]
    if not telling:
        return 0.5
    wanted = _chi2(-2.0 * sum(math.log(1.0 - one) for one in telling), len(telling))
    junk = _chi2(-2.0 * sum(math.log(one) for one in telling), len(telling))
    return (1.0 - wanted + junk) / 2.0


def _chi2(value: float, half_freedom: int) -> float:
    """The chance of a chi-square of ``2 × half_freedom`` degrees above ``value``; summed in logarithms."""
    half = value / 2.0
    term = -half
    total = term
    for one in range(1, half_freedom):
        term += math.log(half / one) if half > 0 else float("-inf")
        total = max(total, term) + math.log1p(math.exp(-abs(total - term)))
    return min(1.0, math.exp(min(0.0, total)))
