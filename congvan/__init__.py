# SPDX-License-Identifier: AGPL-3.0-or-later
"""The command line, the migrations and the wiring: the only place that knows every package."""

__version__ = "0.1.0"
