# SPDX-License-Identifier: AGPL-3.0-or-later
"""Certificates of agencies and people, chains, revocation, what was valid when; the one verdict."""
