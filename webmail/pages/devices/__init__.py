# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person's mail programs: add one, set it up by QR code or profile, take its password back."""
