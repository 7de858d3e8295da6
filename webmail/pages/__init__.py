# SPDX-License-Identifier: AGPL-3.0-or-later
"""One room a noun: views (thin), forms (fields to values), queries (reads)."""
