# SPDX-License-Identifier: AGPL-3.0-or-later
"""Finding mail: the index of words, columns of header facts, and the one evaluation of searches (DESIGN 4.8)."""
