# SPDX-License-Identifier: AGPL-3.0-or-later
"""Numbers and the registers of outgoing and incoming documents, paper and electronic together."""
