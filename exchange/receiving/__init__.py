# SPDX-License-Identifier: AGPL-3.0-or-later
"""Receiving: a packet is opened, verified, judged, registered and answered with a receipt."""
