# SPDX-License-Identifier: AGPL-3.0-or-later
"""Waiting for signature: read, then sign with a passkey, one document or several with one gesture."""
