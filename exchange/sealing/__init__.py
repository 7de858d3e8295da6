# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing, encrypting and opening what travels between agencies: XML signature, CMS, packet mail."""
