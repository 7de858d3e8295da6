# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing: the keys, the process that alone holds them, time-stamps, and signatures in PDF files."""
