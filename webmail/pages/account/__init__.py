# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in and out, the person's own page."""
