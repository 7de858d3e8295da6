# SPDX-License-Identifier: AGPL-3.0-or-later
"""One question, any file: is this genuine? Needs no installation, server or network."""
