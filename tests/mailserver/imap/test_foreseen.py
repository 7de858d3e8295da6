# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a session foresees of a change of flags is what the store does: counters, flags and modseqs agree afterwards."""

from __future__ import annotations

import asyncio
import random

import pytest

from mailserver.imap.view import View
from mailserver.store import DELETED, FLAGGED, SEEN
from mailserver.store.model import flagged
from tests.conftest import Province
from tests.mailserver.store.letters import fill, inbox


@pytest.mark.parametrize("seed", range(3))
def test_foreseen_and_done_agree(province: Province, seed: int) -> None:
    ref, store, chance = inbox(province), province.store, random.Random(seed)
    fill(province, ref, 24)
    mailbox = store.mailbox(ref)
    assert mailbox is not None
    view = View(store, mailbox, "INBOX", "lrswipkxtea", readonly=False)
    view.load()

    async def act() -> None:
        low = chance.randrange(24)
        run = list(range(low, min(24, low + chance.choice([1, 3, 24]))))
        positions = run if chance.random() < 0.7 else sorted(chance.sample(range(24), 7))
        how = chance.choice(["add", "remove", "replace"])
        mask = chance.choice([SEEN, FLAGGED, SEEN | DELETED, 0 if how == "replace" else FLAGGED])
        before = list(view.all_flags())
        changing, foreseen = view.foresee(positions, how, mask)
        new = {at: flagged(before[at], how, mask) for at in positions}
        assert list(changing) == [at for at in positions if new[at] != before[at]]
        assert foreseen.unseen == sum((not new[at] & SEEN) - (not before[at] & SEEN) for at in positions)
        done = await store.flag(ref, [at + 1 for at in positions], how, mask, foreseen)
        assert view.flagged(changing, how, mask, done)
        now = store.mailbox(ref)
        assert now is not None
        assert [(flags, modseq) for _, flags, modseq in store.marks(ref)] == [
            (view.flags(at), view.modseqs(at)) for at in range(24)
        ]
        assert now.unseen == sum(1 for flags in view.all_flags() if not flags & SEEN)
        assert now.highestmodseq == view.modseq

    async def walk() -> None:
        for _ in range(60):
            await act()

    asyncio.run(walk())
