# SPDX-License-Identifier: AGPL-3.0-or-later
"""A document's life: `states` is a table of legal moves, and each move has a file of its own."""
