# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an installation is: settings, database engine, sealing of rows, wake-ups, leases, rulebook."""
