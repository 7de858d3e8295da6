# SPDX-License-Identifier: AGPL-3.0-or-later
"""Letters that wait before they go: taking them back, sending them now."""
