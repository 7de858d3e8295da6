# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ledger for auditors: search, one entry with its proof, the state of the log."""
