# SPDX-License-Identifier: AGPL-3.0-or-later
"""The registers of outgoing and incoming documents."""
