# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing with a passkey as the approval (DESIGN 4.15): statements, assertions, who has which passkey."""
