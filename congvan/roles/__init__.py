# SPDX-License-Identifier: AGPL-3.0-or-later
"""The processes of an installation (DESIGN 4.20): mail, web, worker, signer, public."""

ROLES = ("signer", "mail", "worker", "web", "public")
"""In the order of starting."""
