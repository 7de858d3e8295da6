# SPDX-License-Identifier: AGPL-3.0-or-later
"""Evidence: receipts that are ledger leaves with proof, the one outcome, the evidence file."""
