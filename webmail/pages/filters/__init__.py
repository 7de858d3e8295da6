# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person's own rules for incoming mail, answers while away, and who reads the mail meanwhile."""
