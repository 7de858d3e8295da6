# SPDX-License-Identifier: AGPL-3.0-or-later
"""Agencies, accounts, roles, credentials, web sessions: who somebody is, decided here alone."""

from mailserver.accounts.accounts import Accounts
from mailserver.accounts.model import Account, AccountRef, Agency

__all__ = ["Account", "AccountRef", "Accounts", "Agency"]
