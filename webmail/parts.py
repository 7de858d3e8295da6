# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the pages need of an installation."""

from __future__ import annotations

from typing import Protocol

from config.database import Database
from config.seal import Seal
from config.settings import Settings
from config.wake import Wake
from exchange.exchange import Exchange
from mailserver.accounts import Accounts
from mailserver.delivery import Delivery
from mailserver.search.searching import Searches
from mailserver.store import Store


class Parts(Protocol):
    """The opened parts of one installation."""

    @property
    def settings(self) -> Settings:
        """Its settings."""

    @property
    def database(self) -> Database:
        """Rows."""

    @property
    def seal(self) -> Seal:
        """Keys."""

    @property
    def accounts(self) -> Accounts:
        """People and agencies."""

    @property
    def store(self) -> Store:
        """Mail."""

    @property
    def searches(self) -> Searches:
        """What searches share."""

    @property
    def delivery(self) -> Delivery:
        """The one door."""

    @property
    def wake(self) -> Wake:
        """Wake-ups."""

    @property
    def exchange(self) -> Exchange:
        """Official documents."""
