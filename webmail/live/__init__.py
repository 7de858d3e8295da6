# SPDX-License-Identifier: AGPL-3.0-or-later
"""The asyncio side: events, and the gate that hands everything else to the pages."""
