# SPDX-License-Identifier: AGPL-3.0-or-later
"""What mail programs ask for to set themselves up: autoconfig, Autodiscover, the Apple profile, a QR code."""
