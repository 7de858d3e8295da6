# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every table of the installation, in one import: for migrations and tests."""

from __future__ import annotations

import config.leases
import exchange.documents.schema
import exchange.registers.schema
import mailserver.accounts.schema
import mailserver.imap.schema
import mailserver.importing.schema
import mailserver.store.schema
import policy.ledger.schema

__all__ = ["config", "exchange", "mailserver", "policy"]
